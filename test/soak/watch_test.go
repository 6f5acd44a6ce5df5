package main

import "testing"

// What grows is told from what fills up and stays.
func TestFlat(t *testing.T) {
	grows := func(from, by float64, until int) (looks []look) {
		for i := range 40 {
			v := from + by*float64(min(i, until))
			looks = append(looks, look{memory: v * (1 << 20), heap: 1, goroutines: 30, files: 20})
		}
		return looks
	}
	if err := flat(grows(60, 10, 8)); err != nil {
		t.Errorf("a cache that is full: %v", err)
	}
	if err := flat(grows(60, 2, 40)); err == nil {
		t.Error("a leak of 2 MiB at each look is flat")
	}
	if err := flat(grows(60, 0, 0)[:5]); err == nil {
		t.Error("five looks tell")
	}
}

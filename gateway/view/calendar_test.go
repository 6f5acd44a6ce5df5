package view

import (
	"testing"
	"time"
)

// Our days are those of package time, over all the years that FHIR can write.
func TestCalendar(t *testing.T) {
	day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := firstDay; n <= lastDay; n++ {
		year, month, date := day.Date()
		y, m, d := dateOf(n)
		if y != year || m != int(month) || d != date || dayNumber(y, m, d) != n {
			t.Fatalf("%d is %d-%d-%d and back %d, want %s", n, y, m, d, dayNumber(y, m, d), day)
		}
		if n%997 == 0 {
			if got := string(appendDay(nil, n)); got != day.Format(time.DateOnly) {
				t.Errorf("%d is written %s, want %s", n, got, day)
			}
			if dayOf(day) != n-1 || dayOf(day.Add(1)) != n {
				t.Errorf("%s begins too early or too late", day)
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	if dayNumber(2023, 2, 29) != dayNumber(2023, 3, 1) {
		t.Error("a day that is not there is not the next one")
	}
	for text, exists := range map[string]bool{"2024-02-29": true, "2023-02-29": false, "2023-12-31": true, "2023-04-31": false, "2023-13-01": false, "2023-00-01": false, "2023-01-00": false, "2023-01-32": false, "0000-01-01": false, "2023-12": true} {
		if _, ok := parseDate(text); ok != exists {
			t.Errorf("%s exists: %v", text, ok)
		}
	}
}

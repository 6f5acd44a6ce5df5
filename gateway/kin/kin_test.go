package kin

import (
	"fmt"
	"strings"
	"testing"
)

func person(t *testing.T, body string) *Marks {
	t.Helper()
	m, err := Of([]byte(`{"resourceType":"Patient",` + body + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

// Issue 7.7: surnames and homes are the same as a clerk would say, whoever typed them.
func TestSame(t *testing.T) {
	name := func(family string) string { return fmt.Sprintf(`"name":[{"family":%q}]`, family) }
	home := func(line, rest string) string { return fmt.Sprintf(`"address":[{"line":[%q],%s}]`, line, rest) }
	tests := []struct {
		one, other       string
		surname, address bool
	}{
		{name("Smith"), name("SMITH"), true, false},
		{name("Müller"), name("Mueller"), true, false},
		{name("Mu\u0308ller"), name("Müller"), true, false},
		{name("Groß"), name("Gross"), true, false},
		{name("O'Brien"), name("O’Brien"), true, false},
		{name("Sørensen"), name("Soerensen"), true, false},
		{name("Meyer-Schmidt"), name("Schmidt"), true, false},
		{name("von der Leyen"), name("van der Berg"), false, false},
		{name("Le"), name("Le"), true, false},
		{name("Smith"), name("Smythe"), false, false},
		{name("李"), name("李"), true, false},
		{name("***"), name("***"), false, false},
		{`"name":[{"text":"Ann Smith"}]`, name("Smith"), true, false},
		{`"name":[{"text":"Smith, Ann"}]`, name("Smith"), true, false},
		{`"name":[{"family":"Smith"},{"use":"maiden","family":"Jones"}]`, name("Jones"), true, false},
		{`"name":[{"use":"nickname","family":"Jones"}]`, name("Jones"), false, false},
		{`"name":{"family":"Jones"},"address":{}`, name("Jones"), false, false}, // malformed: a list is due
		{home("Hauptstraße 5", `"postalCode":"10115"`), home("Hauptstr. 5", `"postalCode":"10115","city":"Berlin"`), false, true},
		{home("12 Main Street", `"city":"Oslo"`), home("Main St. 12", `"postalCode":"0150","city":"oslo"`), false, true},
		{home("12 Main St", `"postalCode":"1","city":"Oslo"`), home("12 Main St", `"postalCode":"2","city":"Oslo"`), false, false},
		{home("12 Main St", `"city":"Oslo"`), home("13 Main St", `"city":"Oslo"`), false, false},
		{home("12 Main St", `"country":"NO"`), home("12 Main St", `"country":"NO"`), false, false},
		{home("", `"city":"Oslo"`), home("", `"city":"Oslo"`), false, false},
		{home("1 Ward Rd", `"city":"Oslo","use":"work"`), home("1 Ward Rd", `"city":"Oslo"`), false, false},
		{home("Same 1", `"postalCode":"1"`), home("Same 1", `"city":"Oslo"`), false, false},
	}
	for _, test := range tests {
		one, other := person(t, test.one), person(t, test.other)
		for _, pair := range [][2]*Marks{{one, other}, {other, one}} {
			if s, a := pair[0].Same(pair[1]); s != test.surname || a != test.address {
				t.Errorf("%s and %s: got surname %v, address %v", test.one, test.other, s, a)
			}
		}
	}
}

// What is remembered is no text, and bounded whatever a record says.
func TestMarksTellNothing(t *testing.T) {
	m := person(t, `"name":[{"family":"Smith"}],"address":[{"line":["12 Main St"],"city":"Oslo"}]`)
	if all := fmt.Sprintf("%+v %s %q", m, m, m); strings.Contains(strings.ToLower(all), "smith") || strings.Contains(all, "oslo") {
		t.Errorf("marks tell %s", all)
	}
	long := person(t, `"name":[{"family":"`+strings.Repeat("Abc-Def ", 1<<17)+strings.Repeat("x ", 1000)+`"}]`)
	if n := len(long.names); n > most {
		t.Errorf("%d marks of one name", n)
	}
}

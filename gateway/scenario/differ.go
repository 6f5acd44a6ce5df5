package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// This file holds what came of a scenario against what was expected.

// outcome is an answer as expectations see it.
type outcome struct {
	status    int
	code      string
	visible   []string
	resources map[string]any // by name, and the first of each type by the type
	permits   []string
	forbids   []string
	withheld  map[string]string
	obliges   []any
	audit     map[string]any
}

func (s *scenario) differences(a *answer) ([]Difference, error) {
	got, err := read1(a)
	if err != nil {
		return nil, err
	}
	d := &differ{s: s}
	want := &s.Expect
	if want.Status != nil {
		d.compare(got.status, *want.Status, "status")
	}
	if want.Code != nil {
		d.compare(got.code, *want.Code, "code")
	}
	d.visible(got)
	for _, name := range slices.Sorted(maps.Keys(want.Fields)) {
		d.fields(got, name, want.Fields[name])
	}
	if want.Permits != nil {
		d.sets(got.permits, *want.Permits, "permits")
	}
	if want.Forbids != nil {
		d.sets(got.forbids, *want.Forbids, "forbids")
	}
	if want.Withheld != nil {
		d.compare(got.withheld, *want.Withheld, "withheld")
	}
	if want.Obliges != nil {
		d.sets(printed(got.obliges), printed(*want.Obliges), "obliges")
	}
	for _, name := range slices.Sorted(maps.Keys(want.Audit)) {
		d.compare(got.audit[name], want.Audit[name], "audit", name)
	}
	return d.found, nil
}

// read1 takes the answer apart.
func read1(a *answer) (*outcome, error) {
	o := &outcome{status: a.status, resources: map[string]any{}, withheld: map[string]string{}, visible: []string{}}
	var body map[string]any
	if a.body.Len() > 0 {
		if err := json.Unmarshal(a.body.Bytes(), &body); err != nil {
			return nil, fmt.Errorf("the answer is no JSON: %w", err)
		}
	}
	o.take(body)
	for i, d := range a.decided {
		o.permits, o.forbids = joined(o.permits, d.Permits), joined(o.forbids, d.Forbids)
		for _, e := range d.Entries {
			o.permits, o.forbids = joined(o.permits, e.Permits), joined(o.forbids, e.Forbids)
			if e.Effect == "withheld" {
				o.withheld[e.Resource] = e.Reason
			}
		}
		if i == len(a.decided)-1 {
			o.code = d.Code
			text, err := json.Marshal(d)
			if err == nil {
				err = json.Unmarshal(text, &o.audit)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for _, text := range a.obliged {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, err
		}
		o.obliges = append(o.obliges, v)
	}
	return o, nil
}

// take notes the resources of an answer: one, or those of a Bundle.
func (o *outcome) take(r map[string]any) {
	typ, _ := r["resourceType"].(string)
	switch typ {
	case "", "OperationOutcome":
		return
	case "Bundle":
		entries, _ := r["entry"].([]any)
		for _, e := range entries {
			if entry, ok := e.(map[string]any); ok {
				inner, _ := entry["resource"].(map[string]any)
				o.take(inner)
			}
		}
		return
	}
	name := fmt.Sprintf("%s/%v", typ, r["id"])
	o.visible = append(o.visible, name)
	o.resources[name] = r
	if o.resources[typ] == nil {
		o.resources[typ] = r
	}
}

func joined(all, more []string) []string {
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// differ collects differences.
type differ struct {
	s     *scenario
	found []Difference
}

func (d *differ) compare(got, want any, path ...string) {
	if a, b := print(got), print(want); a != b {
		d.found = append(d.found, Difference{What: strings.Join(path, " "), Got: a, Want: b, Line: d.s.at(append([]string{"expect"}, path...)...)})
	}
}

// sets compares without regard to the order.
func (d *differ) sets(got, want []string, what string) {
	got, want = append([]string{}, got...), append([]string{}, want...)
	slices.Sort(got)
	slices.Sort(want)
	d.compare(got, want, what)
}

func (d *differ) visible(got *outcome) {
	want := d.s.Expect.Visible
	if len(want) == 0 {
		return
	}
	if n, err := strconv.Atoi(string(want)); err == nil {
		d.compare(len(got.visible), n, "visible")
		return
	}
	var names []string
	_ = json.Unmarshal(want, &names) // the schema has seen to it
	d.sets(got.visible, names, "visible")
}

func (d *differ) fields(got *outcome, name string, want map[string]any) {
	r, ok := got.resources[name]
	if !ok {
		d.compare("absent", "in the answer", "fields", name)
		return
	}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		d.compare(follow(r, strings.Split(path, ".")), want[path], "fields", name, path)
	}
}

// follow is what a dotted path leads to; of a list without a number the first
// element. nil where nothing is there.
func follow(v any, path []string) any {
	if list, ok := v.([]any); ok {
		at := 0
		if len(path) > 0 {
			if n, err := strconv.Atoi(path[0]); err == nil {
				at, path = n, path[1:]
			}
		}
		if len(path) == 0 && at == 0 {
			return v
		}
		if at >= len(list) {
			return nil
		}
		return follow(list[at], path)
	}
	if len(path) == 0 {
		return v
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	return follow(m[path[0]], path[1:])
}

func printed(all []any) (texts []string) {
	for _, v := range all {
		texts = append(texts, print(v))
	}
	return texts
}

// print is a value as JSON, with its members in order.
func print(v any) string {
	if v == nil {
		return "absent"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

package view

import (
	"slices"
	"strings"
	"time"

	"gatehouse/fhir"
	"gatehouse/fhir/search"
)

// A search by a date that the view moves or cuts is asked in what its reader
// sees. Upstream it is widened to all that could be shown so, and what comes
// back is held against the client's own criterion as it is shown
// (DEIDENTIFICATION §2): a row then tells nothing that the row itself does not.

// reach is how far a view may take dates from what they are.
type reach struct {
	days   int // the largest shift
	finest int // characters of the finest date shown: 4, 7, 10; more: times of day too
	shift  *method
	mixed  bool // several rules shift: no one offset is exact
}

const withTime = len("2006-01-02T")

// reach tells what a view does to the dates that a parameter evaluates. ok is
// false where it is not a date that is moved or cut.
func (w *View) reach(typ, code string) (r reach, ok bool) {
	sp, known := w.version.SearchParam(typ, code)
	elements, err := search.Elements(w.version, typ, code)
	if !known || sp.Type != "date" || err != nil || len(elements) == 0 {
		return r, false
	}
	r.finest = withTime
	for v := w; v != nil; v = v.over {
		for _, e := range elements {
			if v.foreign != nil || v.auto.starts[typ] == nil || len(v.dynamic) > 0 && v.dynamicallyHidden(e) {
				return r, false
			}
			for _, f := range v.auto.starts[typ].walk(strings.Split(e, "."), nil) {
				if !f.reach(&r, 0) {
					return r, false
				}
			}
		}
	}
	r.mixed = r.mixed || w.over != nil
	return r, r.days > 0 || r.finest < withTime
}

func (f *field) reach(r *reach, depth int) bool {
	for i := range f.choices {
		way := &f.choices[i]
		if way.next == nil {
			if f.nested || !r.add(&way.rule.method) {
				return false
			}
			continue
		}
		parts, listed := searched["date "+f.info.Type]
		for _, part := range way.next.fields {
			if listed && !slices.Contains(parts, part.info.Name) || part.info.Type == "Extension" {
				continue
			}
			if depth > 4 || !part.reach(r, depth+1) {
				return false
			}
		}
	}
	return true
}

// add takes in what one rule does. What is hidden matches nothing as it is
// shown, so it does no harm here.
func (r *reach) add(m *method) bool {
	switch {
	case m.name == keep || m.hides() || m.name == mask:
	case m.name == dateShift:
		r.mixed = r.mixed || r.shift != nil && (r.shift.days != m.days || r.shift.weekday != m.weekday)
		r.shift, r.days = m, max(r.days, m.days)
		if !m.keepTime {
			r.finest = min(r.finest, len("2006-01-02"))
		}
	case m.name == generalize && (m.to == "year" || m.to == "month"):
		r.finest = min(r.finest, m.digits)
	default:
		return false
	}
	return true
}

// dated tells of a criterion that it is one on dates that are moved or cut,
// which a search of one type may ask for.
func (in *inbound) dated(a *fhir.Access, p *fhir.Param) bool {
	if a.Interaction != fhir.SearchType && a.Interaction != fhir.SearchCompartment || a.Conditional ||
		a.Type == "" || in.filter || p.Has != nil || len(p.Chain) > 0 || p.Modifier != "" || p.Type != "date" {
		return false
	}
	if in.touches(a.Type, p.Name, probe{}) == Kept {
		return false
	}
	_, ok := in.view.reach(a.Type, p.Name)
	return ok
}

// widen replaces criteria on such dates by what goes upstream. It comes after
// the others, which say whose dates they are.
func (in *inbound) widen(a *fhir.Access) *fhir.Error {
	var criteria []fhir.Param
	for _, p := range a.Criteria {
		if !in.dated(a, &p) {
			criteria = append(criteria, p)
			continue
		}
		r, _ := in.view.reach(a.Type, p.Name)
		asked, err := r.read(&p)
		if err != nil {
			return err
		}
		if _, err := search.Compile(in.view.version, a.Type, []fhir.Param{p}, nil); err != nil {
			return hidden(p.Name) // what comes back could not be held against it
		}
		in.shown = append(in.shown, p)
		criteria = append(criteria, in.upstream(a, r, &p, asked)...)
	}
	a.Criteria = criteria
	return nil
}

// comparison is one alternative of a date criterion.
type comparison struct {
	prefix string
	parsedDate
	day time.Time // the first of what is named
}

// read parses the alternatives, none finer than what is shown.
func (r *reach) read(p *fhir.Param) (asked []comparison, err *fhir.Error) {
	for _, v := range p.Values {
		c := comparison{prefix: "eq"}
		if len(v) > 2 && v[0] >= 'a' {
			c.prefix, v = v[:2], v[2:]
		}
		var ok bool
		if c.parsedDate, ok = parseDate(v); !ok {
			return nil, refuse("view.parameter-hidden", p.Name+" is searched by year, month or day under this client's view.")
		}
		if c.have > r.finest || c.rest != "" && r.finest < withTime {
			unit := map[int]string{4: "year", 7: "month or year", 10: "day, month or year"}[r.finest]
			return nil, refuse("view.parameter-hidden", p.Name+" is shown to this client by "+unit+" at the finest: search by that.")
		}
		c.day = c.start()
		asked = append(asked, c)
	}
	return asked, nil
}

// upstream is what is asked instead: of one patient by its own offset, else so
// wide that whatever is shown as asked is found.
func (in *inbound) upstream(a *fhir.Access, r reach, p *fhir.Param, asked []comparison) []fhir.Param {
	if patient := in.onePatient(a); patient != "" && r.shift != nil && !r.mixed && r.finest >= len("2006-01-02") {
		if offset, err := in.view.daysOf(in.domain, patient, r.shift); err == nil {
			return exactly(p, asked, offset)
		}
	}
	low, high := bounds(asked)
	// A date without one patient is shown as its year; zones move days by one.
	if !low.IsZero() {
		low = earlier(low.AddDate(0, 0, -r.days), time.Date(low.Year(), 1, 1, 0, 0, 0, 0, time.UTC)).AddDate(0, 0, -slack)
	}
	if !high.IsZero() {
		last := high.AddDate(0, 0, -1)
		high = later(high.AddDate(0, 0, r.days), time.Date(last.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)).AddDate(0, 0, slack)
	}
	return between(p, low, high)
}

// slack is how many days a date may lie off for the zone it is written in and
// the zone that a server reads days in.
const slack = 2

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// onePatient is the patient that all matches are about, "" where criteria name
// none or several.
func (in *inbound) onePatient(a *fhir.Access) string {
	if a.Compartment.Type == "Patient" {
		return a.Compartment.String()
	}
	for i := range a.Criteria {
		p := &a.Criteria[i]
		if p.Has != nil || len(p.Chain) > 0 || len(p.Values) != 1 {
			continue
		}
		if a.Type == "Patient" && p.Name == "_id" && p.Modifier == "" {
			return "Patient/" + p.Values[0]
		}
		if (p.Name == "patient" || p.Name == "subject") && p.Modifier == "" && strings.HasPrefix(p.Values[0], "Patient/") {
			return p.Values[0]
		}
	}
	return ""
}

// exactly undoes a known shift. Where an alternative names more than a day and
// both its ends count, only its bounds can be moved.
func exactly(p *fhir.Param, asked []comparison, offset int) []fhir.Param {
	one := fhir.Param{Name: p.Name, Type: p.Type}
	for _, c := range asked {
		day := c.day
		switch {
		case c.have == 10:
		case c.prefix == "ge" || c.prefix == "lt" || c.prefix == "eb":
		case c.prefix == "gt" || c.prefix == "le" || c.prefix == "sa":
			day = c.end().AddDate(0, 0, -1)
		default:
			low, high := bounds(asked)
			if !low.IsZero() {
				low = low.AddDate(0, 0, -offset)
			}
			if !high.IsZero() {
				high = high.AddDate(0, 0, -offset)
			}
			return between(p, low, high)
		}
		prefix := c.prefix
		if prefix == "eq" {
			prefix = ""
		}
		one.Values = append(one.Values, prefix+day.AddDate(0, 0, -offset).Format(time.DateOnly)+c.rest)
	}
	return []fhir.Param{one}
}

// end is the first day behind what is named.
func (c *comparison) end() time.Time {
	switch c.have {
	case 4:
		return c.day.AddDate(1, 0, 0)
	case 7:
		return c.day.AddDate(0, 1, 0)
	}
	return c.day.AddDate(0, 0, 1)
}

// bounds are the first day that any alternative can match and the first behind
// the last; zero where there is none.
func bounds(asked []comparison) (low, high time.Time) {
	openLow, openHigh := false, false
	for _, c := range asked {
		switch c.prefix {
		case "ge", "gt", "sa":
			openHigh = true
		case "le", "lt", "eb":
			openLow = true
		case "ne":
			openLow, openHigh = true, true
		}
		if end := c.end(); high.IsZero() || end.After(high) {
			high = end
		}
		if low.IsZero() || c.day.Before(low) {
			low = c.day
		}
	}
	if openLow {
		low = time.Time{}
	}
	if openHigh {
		high = time.Time{}
	}
	return low, high
}

// between asks for what reaches into the days from low up to, without, high.
func between(p *fhir.Param, low, high time.Time) (criteria []fhir.Param) {
	if !low.IsZero() {
		criteria = append(criteria, fhir.Param{Name: p.Name, Type: p.Type, Values: []string{"ge" + low.Format(time.DateOnly)}})
	}
	if !high.IsZero() {
		criteria = append(criteria, fhir.Param{Name: p.Name, Type: p.Type, Values: []string{"le" + high.AddDate(0, 0, -1).Format(time.DateOnly)}})
	}
	return criteria
}

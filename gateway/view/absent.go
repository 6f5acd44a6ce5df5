package view

// wholeExtension: an extension without its url, or with nothing but it, says
// nothing and is not valid.
func (r *run) wholeExtension(i int, kept uint64, n int) bool {
	more := n - 1
	if r.tree.Get(i, "id") >= 0 {
		more--
	}
	return kept != 0 && more > 0
}

const absentURL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

var absentCodes = map[string]bool{
	"unknown": true, "asked-unknown": true, "temp-unknown": true, "not-asked": true, "asked-declined": true, "masked": true,
	"not-applicable": true, "unsupported": true, "as-text": true, "error": true, "not-a-number": true,
	"negative-infinity": true, "positive-infinity": true, "not-performed": true, "not-permitted": true,
}

// absentReason reports a data-absent-reason with one of its codes and nothing
// else: it says nothing about anybody, and takes the place of required values.
func (r *run) absentReason(i int) bool {
	url, code := r.tree.Get(i, "url"), r.tree.Get(i, "valueCode")
	return url >= 0 && code >= 0 && int(r.nodes[i].Next) == i+3 &&
		r.peek(url) == absentURL && absentCodes[r.peek(code)]
}

const absent = `{"extension":[{"url":"` + absentURL + `","valueCode":"masked"}]}`

// absent writes data-absent-reason for required elements that were taken out,
// so that the result is valid.
func (r *run) absent(i int, s *state, missing uint64, n int, prev int32) int {
	r.flush(prev)
	for bit := range s.groups {
		if missing&(1<<bit) == 0 {
			continue
		}
		if n > 0 {
			r.dst = append(r.dst, ',')
		}
		n++
		f := r.present(i, s, bit)
		r.dst = append(r.dst, '"')
		if f.leaf {
			r.dst = append(r.dst, '_')
		}
		r.dst = append(append(r.dst, f.info.Name...), '"', ':')
		if f.info.Array {
			r.dst = append(append(append(r.dst, '['), absent...), ']')
		} else {
			r.dst = append(r.dst, absent...)
		}
		r.here.labels |= labelMasked
	}
	r.from = r.nodes[i].End - 1
	return n
}

// present is the field by which object i had a required element: of a choice
// the one that was there.
func (r *run) present(i int, s *state, bit int) *field {
	for c := range r.tree.Children(i) {
		name := r.tree.Name(c)
		if len(name) > 0 && name[0] == '_' {
			name = name[1:]
		}
		if at := s.table.find(name); at >= 0 && s.fields[at].bit == bit {
			return s.fields[at]
		}
	}
	return s.groups[bit] // not reached: it was there to be taken out
}

// masked replaces a complex value by the mark that it was there.
func (r *run) masked(i int) bool {
	r.here.labels |= labelMasked
	return r.instead(i, []byte(absent))
}

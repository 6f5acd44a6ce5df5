package view

import (
	"strings"

	"gatehouse/fhir"
)

// patient is the one patient that the resource here is about: of the outermost
// the caller says, a contained one has its container's, and of others it is
// read when a date first asks for it.
func (r *run) patient() string {
	if !r.here.asked {
		r.here.asked = true
		r.here.patient = r.patientOf(r.here.node)
	}
	return r.here.patient
}

func (r *run) patientOf(i int) string {
	n := r.nodes[i]
	if p, ok := PatientOf(r.view.version, r.doc[n.Start:n.End], r.ctx.Own); ok {
		return p
	}
	if i == 0 && !r.part {
		return ""
	}
	// In a Bundle not yet stored, urn:uuid names the patient; where it is the
	// id too, as is the custom, both count as the same.
	for _, member := range [...]string{"patient", "subject", "beneficiary"} {
		if at := r.tree.Get(i, member); at >= 0 {
			if ref := r.tree.Get(at, "reference"); ref >= 0 {
				if uuid, ok := strings.CutPrefix(r.peek(ref), "urn:uuid:"); ok {
					return "Patient/" + uuid
				}
			}
			return ""
		}
	}
	return ""
}

// PatientOf is the one patient that a resource is about, as Context wants it.
// ok is false where there is none, or several, or one that cannot be named.
func PatientOf(v fhir.Version, resource []byte, own *fhir.BaseSet) (patient string, ok bool) {
	f, err := v.ReadFacts(resource, own)
	if err != nil || f.Unnamed || len(f.Patients) != 1 {
		return "", false
	}
	return f.Patients[0], true
}

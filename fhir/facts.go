package fhir

// Facts are the little that a decision needs of a resource (the policy input's
// `resource`). Lists hold each value once, in document order. References are
// "Type/id" of this server.
type Facts struct {
	Type, ID, VersionID string
	Patients            []string // every patient that the Patient compartment of R4 ties it to
	Organization        string
	Practitioners       []string
	Labels              []string // bare codes for v3-Confidentiality and v3-ActCode, else "system|code"
	Categories, Codes   []string // "system|code"
	Status, Author      string
	Encounter, Date     string
	// Unnamed is set when an element that may tie the resource to a patient
	// cannot be named (logical, contained, urn or foreign reference): such a
	// resource is in no patient's compartment.
	Unnamed bool
}

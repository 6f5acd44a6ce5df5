package view

// Shape tells whether an id has the form of a pseudonym of a resource, whether
// or not it opens, and whether only the vault knows where it leads.
func Shape(p string) (pseudonym, vault bool) {
	if len(p) < 2+22 || !fhirID(p) || p[0] < 'A' || p[0] > 'Z' { // a tag alone has 22 characters
		return false, false
	}
	if _, err := open64(p[2:]); err != nil {
		return false, false
	}
	switch p[1] {
	case classUUID, classNumber, classShort, classSix, classSixEnd:
		return true, false
	case classStored, classRandom:
		return true, true
	}
	return false, false
}

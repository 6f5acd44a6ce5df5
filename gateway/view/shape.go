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

// TextShape tells of a text that it has the form of one that a view made for an
// identifier, SealedShape of one that it encrypted; whether it opens they do not
// tell.
func TextShape(p string) bool { return textShape(p, classText) }

// SealedShape is TextShape for what encrypt makes.
func SealedShape(p string) bool { return textShape(p, classSealed) }

func textShape(p string, class byte) bool {
	if len(p) < 2+22 || len(p) > 1<<16 || p[0] < 'A' || p[0] > 'Z' || p[1] != class {
		return false
	}
	_, err := open64(p[2:])
	return err == nil
}

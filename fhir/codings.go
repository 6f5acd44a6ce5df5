package fhir

import (
	"slices"
	"strings"
)

// maxCodingDepth bounds how deep into a type paths lead; below it the record is
// walked.
const maxCodingDepth = 4

// codings are the elements of a type that hold codings, those of its backbone
// elements and of extensions included, and the elements that hold resources, or
// themselves again.
func (v Version) codings(typ string) (found []factRow, nested []string) {
	var visit func(typ, prefix string, above []string)
	visit = func(typ, prefix string, above []string) {
		for e := range v.Elements(typ) {
			path := prefix + e.Name
			switch {
			case e.Type == "CodeableConcept":
				found = append(found, factRow{path: path, form: formConcept})
			case e.Type == "CodeableReference":
				found = append(found, factRow{path: path + ".concept", form: formConcept})
			case e.Type == "Coding":
				found = append(found, factRow{path: path, form: formCoding})
			case e.Type == "Resource":
				nested = append(nested, path)
			case e.Type == "Extension" && prefix == "":
				for _, at := range []string{path, path + ".extension"} {
					found = append(found, factRow{path: at + ".valueCodeableConcept", form: formConcept}, factRow{path: at + ".valueCoding", form: formCoding})
				}
				nested = append(nested, path+".extension.extension")
			case v.Kind(e.Type) != Backbone:
			case strings.Count(path, ".") >= maxCodingDepth || slices.Contains(above, e.Type):
				nested = append(nested, path)
			default:
				visit(e.Type, path+".", append(above, e.Type))
			}
		}
	}
	visit(typ, "", nil)
	return found, nested
}

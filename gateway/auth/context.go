package auth

import "github.com/go-json-experiment/json/jsontext"

// maxContext bounds what is read of a fhirContext.
const maxContext = 50

// context reads SMART's fhirContext (SMART-26). What names nothing on this server and
// no canonical is left out: rules that ask for it do not hold then.
func (i *issuer) context(v jsontext.Value) (found []string) {
	for _, e := range list(v) {
		if len(found) == maxContext {
			break
		}
		one := object(e)
		name, _ := text(one["canonical"])
		if reference, ok := text(one["reference"]); ok {
			ref, version, ok := i.own.ParseRef(reference)
			if name = ""; ok && version == "" {
				name = ref.String()
			}
		}
		if name == "" {
			continue
		}
		if role, _ := text(one["role"]); role != "" && role != "launch" {
			name = role + "|" + name
		}
		found = append(found, name)
	}
	return found
}

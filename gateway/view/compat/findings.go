package compat

import (
	"fmt"
	"slices"
	"strings"
)

// personal are the types that hold what names somebody, or what anybody wrote.
var personal = []string{"HumanName", "Address", "ContactPoint", "Identifier", "Narrative", "Attachment", "Annotation", "Signature",
	"string", "markdown", "base64Binary", "uri", "url", "id"}

// Findings are what an author of the file should look at though it loads: what
// no rule touches, rules that never apply, keys that can be guessed, and settings that protect little.
func (e *Engine) Findings() (found []string) {
	var kept []string
	for _, typ := range e.version.ResourceTypes() {
		for info := range e.version.Elements(typ) {
			if slices.Contains(personal, info.Type) && info.Name != "implicitRules" && !e.Touches(typ, info.Name, nil) {
				kept = append(kept, typ+"."+info.Name)
			}
		}
	}
	if len(kept) > 0 {
		const most = 8
		slices.Sort(kept)
		text := strings.Join(kept[:min(most, len(kept))], ", ")
		if len(kept) > most {
			text += fmt.Sprintf(" and %d more", len(kept)-most)
		}
		found = append(found, e.file+": survives as it is: "+text)
	}
	for name, key := range map[string]string{"cryptoHashKey": e.params.hashKey, "dateShiftKey": e.params.dateKey} {
		if key != "" && weak(key) {
			found = append(found, e.file+": "+name+" can be guessed: make it of at least 16 random bytes")
		}
	}
	slices.Sort(found)
	return slices.Concat(found, e.dead(), e.unsafe())
}

func weak(key string) bool {
	seen := map[byte]bool{}
	for i := range len(key) {
		seen[key[i]] = true
	}
	return len(key) < 16 || len(seen) < 8
}

func (e *Engine) unsafe() (found []string) {
	shifts := slices.ContainsFunc(e.rules, func(r *rule) bool { return strings.EqualFold(r.method.name, "dateShift") })
	if shifts && e.params.offset != nil {
		found = append(found, e.file+": dateShiftFixedOffsetInDays: who knows one date knows all")
	} else if shifts {
		found = append(found, e.file+": dateShift has 101 possible offsets, and by its scope one for many patients")
	}
	if e.params.partialDates || e.params.partialAges || e.params.partialZIP {
		found = append(found, e.file+": enablePartial…ForRedact: redact leaves a part of dates, ages or postal codes")
	}
	if e.skip {
		found = append(found, e.file+": processingErrors skip: a resource on which a rule fails comes out empty")
	}
	return found
}

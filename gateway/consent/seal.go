package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"gatehouse/fhir/wire"
)

// Sealer marks the Consents that the gateway writes, so that they are known
// again among those of other authors. The mark is an identifier over whose they
// are and what they say: it does not hold on another Consent.
type Sealer struct{ key []byte }

// NewSealer makes a Sealer; the replicas of a gateway share its key.
func NewSealer(key []byte) *Sealer { return &Sealer{key} }

// markSystem is the identifier system of marks.
const markSystem = "urn:gatehouse:consent"

func (s *Sealer) mark(t *wire.Tree) string {
	h := hmac.New(sha256.New, s.key)
	for _, name := range []string{"patient", "subject", "dateTime", "date", "decision", "policyRule", "policy", "provision"} {
		h.Write([]byte(name + "\x00"))
		if node := t.Get(0, name); node >= 0 {
			h.Write(canonical(nil, t, node))
		}
		h.Write([]byte{0})
	}
	for _, name := range []string{"policyBasis", "except", "period", "actor", "action", "purpose", "securityLabel", "dataPeriod", "data", "grantee"} {
		if node := t.Get(0, name); node >= 0 { // of R5 and STU3
			h.Write(append(canonical([]byte(name+"\x00"), t, node), 0))
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

func (s *Sealer) marked(t *wire.Tree) bool {
	for _, id := range elements(t, t.Get(0, "identifier")) {
		if t.Nodes[id].Kind == wire.Object && text(t, id, "system") == markSystem {
			return hmac.Equal([]byte(text(t, id, "value")), []byte(s.mark(t)))
		}
	}
	return false
}

// canonical writes a value so that one that a server has stored and printed
// again is the same: members sorted, no space, strings unescaped.
func canonical(dst []byte, t *wire.Tree, node int) []byte {
	n := t.Nodes[node]
	switch n.Kind {
	case wire.Object:
		var members []string
		for i := t.First(node); i < int(n.Next); i = int(t.Nodes[i].Next) {
			members = append(members, string(canonical(append(wire.Quote(nil, string(t.Name(i))), ':'), t, i)))
		}
		slices.Sort(members)
		return append(append(append(dst, '{'), strings.Join(members, ",")...), '}')
	case wire.Array:
		dst = append(dst, '[')
		for i := t.First(node); i < int(n.Next); i = int(t.Nodes[i].Next) {
			dst = append(canonical(dst, t, i), ',')
		}
		return append(dst, ']')
	case wire.String:
		return wire.Quote(dst, t.Text(node))
	}
	return append(dst, t.Raw(node)...)
}

// Mark adds the mark to a Consent, which has no other identifier.
func (s *Sealer) Mark(resource []byte) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse(resource); err != nil {
		return nil, err
	}
	var e wire.Edits
	e.Reset(&t)
	e.Append(0, "identifier", []byte(`[{"system":"`+markSystem+`","value":"`+s.mark(&t)+`"}]`))
	return e.Apply(nil), nil
}

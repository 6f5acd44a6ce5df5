package view

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"

	"gatehouse/config"
	"gatehouse/fhir"
	"gatehouse/gateway/view/compat"
)

// foreign is the rule file of another tool.
type foreign interface {
	Apply(dst, doc []byte, c compat.Context) ([]byte, error)
	Touches(typ, element string, parts func(datatype string) []string) bool
	Findings() []string
}

func loadForeign(v fhir.Version, name string, c config.View, o Options) (*View, error) {
	if c.Write {
		return nil, fmt.Errorf("%s: views of other tools' rules are read-only: remove write", c.File)
	}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("read rule file: %w", err)
	}
	options := compat.Options{Version: v, Now: o.Now, Fill: o.FillKeys}
	if o.Codec != nil {
		options.Keys = compatKeys{o.Codec}
	}
	engine, err := compat.Load(c.Compat, c.File, data, options)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return &View{name: name, version: v, codec: o.Codec, now: o.Now, foreign: engine, revision: base64.RawURLEncoding.EncodeToString(sum[:9])}, nil
}

func (w *View) applyForeign(dst, doc []byte, c Context) ([]byte, error) {
	out, err := w.foreign.Apply(dst, doc, compat.Context{Domain: c.Domain, Source: c.Source})
	if err == nil {
		// A pseudonym that leaves before it is kept could never be opened.
		err = w.codec.sync()
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// judgeForeign hides all that a rule may touch: what such a rule does to a
// value is known when it has run.
func (w *View) judgeForeign(typ, element, kind string) Verdict {
	if w.foreign.Touches(typ, element, func(datatype string) []string { return searched[kind+" "+datatype] }) {
		return Hidden
	}
	return Kept
}

// oneWay reports ids that the view changes and cannot change back. Under a real
// one nothing may be read: it would tell whose the changed one is.
func (w *View) oneWay(typ string) bool {
	for v := w; v != nil; v = v.over {
		if v.foreign != nil && v.judgeForeign(typ, "id", "") != Kept {
			return true
		}
	}
	return false
}

// compatKeys gives rule files what they need of a codec.
type compatKeys struct{ codec *Codec }

// Pseudonym is the same for a text wherever it stands: an id, or an identifier
// that is none.
func (k compatKeys) Pseudonym(domain, label, text string) (string, error) {
	if fhirID(text) {
		return k.codec.Pseudonym(domain, label, text)
	}
	return k.codec.Text(domain, label, text)
}

func (k compatKeys) MAC(domain, label, text string) ([]byte, error) {
	return k.codec.mac(domain, label, text)
}

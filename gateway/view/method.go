package view

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"gatehouse/fhir/wire"
)

// leaf applies the method of rule ru to leaf i of object parent. false: it is
// taken out.
func (r *run) leaf(parent, i int, f *field, ru *rule) bool {
	m := &ru.method
	switch m.name {
	case keep:
		return r.wellFormed(i, f.kind)
	case redact, remove:
		return false
	case mask:
		return false // a required one gets its data-absent-reason, any other one is gone
	case dateShift:
		return f.kind.dated() && r.done(labelAbstracted, r.shiftDate(i, f.kind, m))
	case generalize:
		return r.done(labelAbstracted, ru.cases == nil && r.generalize(parent, i, f.kind, m) || ru.cases != nil && r.byCase(i, f, ru))
	case perturb:
		return r.done(labelAbstracted, r.perturb(i, f, m))
	case substitute:
		return f.kind.fits(kindOf(m.with)) && r.value(i, m.with)
	case pseudonymize:
		return r.second && r.mapped(f) || r.done(labelPseudonymized, r.pseudonymize(parent, i, f))
	case cryptoHash:
		return r.second && r.mapped(f) || r.done(labelPseudonymized, r.hash(parent, i, f))
	case encrypt:
		return f.kind == primString && r.done(labelMasked, r.encrypt(i, f))
	case scrub:
		return f.kind == primString && r.done(labelRedacted, r.scrub(i, m))
	}
	return false
}

// wellFormed: a time or date that is none can be any text, and was kept for
// what it is.
func (r *run) wellFormed(i int, kind prim) bool {
	switch {
	case kind == primTime:
		return timeOfDay(r.peek(i))
	case kind.dated():
		_, ok := parseDate(r.peek(i))
		return ok
	}
	return true
}

func (r *run) done(l label, ok bool) bool {
	if ok {
		r.here.labels |= l
	}
	return ok
}

// mapped: in an overlay, ids that the first view has mapped are left as they
// are; mapped twice they would fit neither space.
func (r *run) mapped(f *field) bool { return r.view.below.mapsIDs }

func kindOf(raw []byte) wire.Kind {
	switch raw[0] {
	case '"':
		return wire.String
	case 't':
		return wire.True
	case 'f':
		return wire.False
	case '{':
		return wire.Object
	case '[':
		return wire.Array
	case 'n':
		return wire.Null
	}
	return wire.Number
}

// fail withholds the whole resource: half a view is none.
func (r *run) fail(doing string, err error) bool {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", doing, err)
	}
	return false
}

// pseudonymize replaces what names something by the domain's name for it. What
// it cannot map it takes out.
func (r *run) pseudonymize(parent, i int, f *field) bool {
	text := r.peek(i)
	switch name := f.info.Name; {
	case f.kind == primID && parent == r.here.node && name == "id":
		return r.resourceID(i, text)
	case name == "versionId":
		p, err := r.view.Version(r.ctx.Domain, r.here.typ, r.id(), text)
		return err == nil && r.handle(i, p) || err != nil && r.fail("pseudonymize version", err)
	case name == "reference" || f.kind == primURI && strings.HasPrefix(f.owner, "Bundle.entry"):
		return r.reference(i, text)
	case f.kind == primURI && name == "system":
		p, err := r.view.PseudonymousSystem(r.ctx.Domain, text)
		return err == nil && r.handle(i, p) || err != nil && r.fail("pseudonymize system", err)
	case f.kind == primURI:
		mapped, ok := r.uri(text)
		return ok && r.handle(i, mapped)
	case f.kind == primString:
		return r.identifierValue(parent, i, text)
	}
	return false
}

func (r *run) resourceID(i int, id string) bool {
	if r.here.contained {
		return r.handle(i, r.fragment(id))
	}
	p, err := r.view.pseudonym(r.ctx.Domain, r.here.typ, id)
	if err != nil {
		return r.fail("pseudonymize id", err)
	}
	return r.handle(i, p)
}

// identifierValue maps a value within its system, so that one number in two
// systems shows no link.
func (r *run) identifierValue(parent, i int, text string) bool {
	system := ""
	if at := r.tree.Get(parent, "system"); at >= 0 {
		system = r.peek(at)
	}
	p, err := r.view.codec.text(r.ctx.Domain, text, "identifier:", system)
	if err != nil {
		return r.fail("pseudonymize identifier", err)
	}
	return r.handle(i, p)
}

func identifierLabel(system string) string { return "identifier:" + system }

// reference maps Type/id, absolute forms below our bases, fragments, urn:uuid
// and urn:oid. A version suffix goes: it would show how often a record
// changed. Whatever else may hold anything, and does not pass.
func (r *run) reference(i int, text string) bool {
	if strings.IndexByte(text, '/') < 0 && r.view.version.KnownType(text) { // a create, in entry.request.url
		return true
	}
	if frag, ok := strings.CutPrefix(text, "#"); ok {
		if frag == "" {
			return true
		}
		return r.handle(i, "#"+r.fragment(frag))
	}
	if mapped, ok := r.uri(text); ok {
		return r.handle(i, mapped)
	}
	ref, _, ok := r.ctx.Own.ParseRef(text)
	if !ok || !r.view.version.KnownType(ref.Type) {
		return false
	}
	p, err := r.view.pseudonym(r.ctx.Domain, ref.Type, ref.ID)
	if err != nil {
		return r.fail("pseudonymize reference", err)
	}
	base := ""
	if strings.Contains(text, "://") {
		base = r.ctx.Base + "/"
	}
	r.flush(r.nodes[i].Start)
	r.dst = append(append(append(r.dst, '"'), base...), ref.Type...)
	r.dst = append(append(append(r.dst, '/'), p...), '"')
	r.from = r.nodes[i].End
	return true
}

// uri maps urn:uuid one to one and urn:oid one way; they cannot be told from
// meaningless ones, so they are mapped wherever they stand.
func (r *run) uri(text string) (string, bool) {
	if uuid, ok := strings.CutPrefix(text, "urn:uuid:"); ok {
		name := r.view.codec.UUID
		if r.view.random {
			name = r.view.codec.surrogateUUID
		}
		p, err := name(r.ctx.Domain, uuid)
		return "urn:uuid:" + p, err == nil
	}
	if oid, ok := strings.CutPrefix(text, "urn:oid:"); ok && oid != "" {
		sum, err := r.view.codec.mac(r.ctx.Domain, "oid", oid)
		if err != nil {
			return "", false
		}
		// 2.25 is the arc of UUIDs as numbers: legal, and nobody's.
		return "urn:oid:2.25." + new(big.Int).SetBytes(sum[:16]).String(), true
	}
	return "", false
}

// hash is the one-way form: nobody can turn it back, also not we.
func (r *run) hash(parent, i int, f *field) bool {
	text := r.peek(i)
	label := "hash:" + f.owner + "." + f.info.Name
	switch {
	case f.kind == primID || f.info.Name == "reference":
		prefix, id := "", text
		if f.info.Name == "reference" {
			ref, _, ok := r.ctx.Own.ParseRef(text)
			if !ok {
				return false
			}
			prefix, id, label = ref.Type+"/", ref.ID, "hash:"+ref.Type
		} else if parent == r.here.node {
			label = "hash:" + r.here.typ
		}
		sum, err := r.view.codec.mac(r.ctx.Domain, label, id)
		return err == nil && r.handle(i, prefix+hex.EncodeToString(sum)) || err != nil && r.fail("hash", err)
	case f.kind == primString:
		if at := r.tree.Get(parent, "system"); at >= 0 {
			label += "|" + r.peek(at)
		}
		sum, err := r.view.codec.mac(r.ctx.Domain, label, text)
		return err == nil && r.handle(i, hex.EncodeToString(sum)) || err != nil && r.fail("hash", err)
	}
	return false
}

func (r *run) encrypt(i int, f *field) bool {
	sealed, err := r.view.codec.Seal(r.ctx.Domain, f.place(), r.peek(i))
	if err != nil {
		return r.fail("encrypt", err)
	}
	return r.handle(i, sealed)
}

// place names an element in keys, as "Device.serialNumber".
func (f *field) place() string { return f.owner + "." + f.info.Name }

// jsonValue checks the text of a substitute.
func jsonValue(s string) ([]byte, error) {
	var t wire.Tree
	if err := t.Parse([]byte(s)); err != nil {
		return nil, fmt.Errorf("with: not a JSON value: %w", err)
	}
	return []byte(s), nil
}

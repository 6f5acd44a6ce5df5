package gateway

import (
	"context"
	"slices"

	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

// largeGroup refuses the export of a Group of which the caller may see fewer members
// than the view's smallest cell: to be in it is what they have in common.
func (x *exchange) largeGroup(ctx context.Context, m *matter, group []byte) error {
	k := m.view.SmallestCell()
	if k == 0 {
		return nil
	}
	members, err := x.members(group)
	if err != nil {
		return badUpstream(err)
	}
	seen := map[fhir.Ref]bool{}
	for some := range slices.Chunk(members, patientsAtOnce) {
		if err := x.currentType(ctx, m, "Patient", some, seen); err != nil {
			return err
		}
		if len(seen) >= k {
			return nil
		}
	}
	return smallCell()
}

// members are the ids of the patients in a Group, each once, without those who left.
func (x *exchange) members(group []byte) (ids []string, err error) {
	var t wire.Tree
	if err := t.Parse(group); err != nil {
		return nil, err
	}
	list := t.Get(0, "member")
	if list < 0 {
		return nil, nil
	}
	for i := range t.Children(list) {
		entity := t.Get(i, "entity")
		if at := t.Get(i, "inactive"); at >= 0 && t.Nodes[at].Kind == wire.True || entity < 0 {
			continue
		}
		if at := t.Get(entity, "reference"); at >= 0 {
			if ref, _, ok := x.s.bases.ParseRef(t.Text(at)); ok && ref.Type == "Patient" {
				ids = append(ids, ref.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

package policy

import (
	"context"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Certain tells whether the policy allows this access to every resource of a
// type, whatever it holds, and obliges nothing that depends on one. What is
// asked about such resources by way of others then tells nothing that could
// not be read.
func (v *Evaluation) Certain(ctx context.Context, typ string) bool {
	if v.request == nil || v.outlook.Err != nil {
		return false
	}
	r, err := v.residual(ctx, typ)
	return err == nil && v.sure(r)
}

// CertainOf is Certain for the resources of a type that are about these patients
// ("Patient/1") and nobody else. It costs a partial evaluation each time.
func (v *Evaluation) CertainOf(ctx context.Context, typ string, patients ...string) bool {
	if v.request == nil || v.outlook.Err != nil || !v.engine.typed || typ == "" {
		return false
	}
	known := withType(requestInput(v.request), typ)
	insert(known, []string{"resource", "patients"}, listTerm(patients))
	r, err := v.engine.partial(ctx, known, besidePatients, nil)
	return err == nil && v.sure(r)
}

// besidePatients is what is not known of a resource whose patients are.
var besidePatients = append(slices.DeleteFunc(slices.Clone(factRefs), func(r ast.Ref) bool {
	return r.String() == "input.resource.patients"
}), ast.MustParseRef("input.relation"), ast.MustParseRef("input.consent"))

// sure tells whether some way to a permit holds whatever is not known yet, and
// no way to a prohibition or an obligation can.
func (v *Evaluation) sure(r *residual) bool {
	if r.broken {
		return false
	}
	f := v.frame(nil)
	defer f.release()
	sure := false
	for i := range r.ways {
		can, must := r.ways[i].outlook(f)
		switch {
		case r.ways[i].set == 0:
			sure = sure || must
		case can:
			return false
		}
	}
	return sure
}

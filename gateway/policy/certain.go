package policy

import "context"

// Certain tells whether the policy allows this access to every resource of a
// type, whatever it holds, and obliges nothing that depends on one. What is
// asked about such resources by way of others then tells nothing that could
// not be read.
func (v *Evaluation) Certain(ctx context.Context, typ string) bool {
	if v.request == nil || v.outlook.Err != nil {
		return false
	}
	r, err := v.residual(ctx, typ)
	if err != nil || r.broken {
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

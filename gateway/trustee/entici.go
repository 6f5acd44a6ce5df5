package trustee

import "context"

// entici speaks to entici (DIFUTURE) by its operation $pseudonymize, as miracum's
// FHIR pseudonymizer calls it, which is what is published of it. Its target is a
// project. No way back is published: the gateway keeps what it was given (Leads).
type entici struct{}

func (entici) create(ctx context.Context, s *Service, target, typ, id string) (string, error) {
	ask := parameters{"Parameters", []parameter{of("identifier", s.c.System, id), {Name: "resourceType", ValueCode: typ}, {Name: "project", ValueString: target}}}
	got, err := s.operation(ctx, "/$pseudonymize", ask)
	return got.text("pseudonym"), err
}

func (entici) lead(context.Context, *Service, string, string) (string, error) { return "", nil }

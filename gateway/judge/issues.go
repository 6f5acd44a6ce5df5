package judge

import (
	"fmt"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
)

// Issue is what an OperationOutcome says in codes. Its texts are not read: they may
// quote any record.
type Issue struct {
	Severity, Code string
	Expression     []string
}

// Issues reads an OperationOutcome of the upstream's.
func Issues(held policy.Unjudged, by *policy.Evaluation, limit int64) ([]Issue, error) {
	body, err := held.Open(by)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := readAll(body, limit)
	if err != nil {
		return nil, err
	}
	var t wire.Tree
	if err := t.Parse(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if i := t.Get(0, "resourceType"); i < 0 || t.Text(i) != "OperationOutcome" {
		return nil, fmt.Errorf("%w: not an OperationOutcome", ErrMalformed)
	}
	list := t.Get(0, "issue")
	if list < 0 {
		return nil, nil
	}
	var issues []Issue
	for i := range t.Children(list) {
		one := Issue{Severity: textOf(&t, t.Get(i, "severity")), Code: textOf(&t, t.Get(i, "code"))}
		if e := t.Get(i, "expression"); e >= 0 && t.Nodes[e].Kind == wire.Array {
			for c := range t.Children(e) {
				one.Expression = append(one.Expression, textOf(&t, c))
			}
		}
		issues = append(issues, one)
	}
	return issues, nil
}

func textOf(t *wire.Tree, node int) string {
	if node < 0 || t.Nodes[node].Kind != wire.String {
		return ""
	}
	return t.Text(node)
}

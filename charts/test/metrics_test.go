package charttest

import (
	"bufio"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// queries are the PromQL of the alert rules and of the dashboard, by where it stands.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	unmarshal(t, "../gatehouse/files/alerts.yaml", &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, RefID string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	unmarshal(t, "../gatehouse/files/dashboard.json", &dashboard)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all["panel "+p.Title+" "+target.RefID] = target.Expr
		}
	}
	inside := regexp.MustCompile(`^label_values\((.*), ([a-z]+)\)$`)
	for _, v := range dashboard.Templating.List {
		if m := inside.FindStringSubmatch(v.Definition); m != nil {
			all["variable "+v.Name] = "count by (" + m[2] + ") (" + m[1] + ")"
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d queries", len(all))
	}
	return all
}

func unmarshal(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(text, to) // JSON is YAML
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// grafana's own variables stand for a duration, or for a text within quotes.
var interval = strings.NewReplacer("$__rate_interval", "5m")

// told are the labels that a gateway tells of each metric, and Prometheus adds.
func told(page string) map[string][]string {
	all := map[string][]string{}
	line := regexp.MustCompile(`^([a-z_]+)(?:\{(.*?)\})? `)
	label := regexp.MustCompile(`([a-z_]+)="`)
	for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		labels := []string{"instance", "job", "__name__"}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, l[1])
		}
		all[m[1]] = labels
	}
	return all
}

// checkQueries holds every query to what a running gateway tells: it must parse, and
// name metrics and labels that are there; and each metric is watched somewhere.
func checkQueries(t *testing.T, page string) {
	t.Helper()
	metrics, used := told(page), map[string]bool{}
	for where, text := range queries(t) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(interval.Replace(text))
		if err != nil {
			t.Errorf("%s: %v in %s", where, err, text)
			continue
		}
		var labels []string
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			switch n := n.(type) {
			case *parser.VectorSelector:
				known, ok := metrics[n.Name]
				if !ok {
					t.Errorf("%s: the gateway tells nothing of %s", where, n.Name)
				}
				used[n.Name] = true
				for _, m := range n.LabelMatchers {
					if ok && !slices.Contains(known, m.Name) {
						t.Errorf("%s: %s has no label %s", where, n.Name, m.Name)
					}
				}
				labels = append(labels, known...)
			}
			return nil
		})
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if a, ok := n.(*parser.AggregateExpr); ok {
				for _, by := range a.Grouping {
					if !slices.Contains(labels, by) {
						t.Errorf("%s: nothing has the label %s", where, by)
					}
				}
			}
			return nil
		})
	}
	for name := range metrics {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
		if strings.HasPrefix(name, "gatehouse_") && !used[name] && !used[base+"_bucket"] {
			t.Errorf("neither the dashboard nor a rule shows %s", name)
		}
	}
}

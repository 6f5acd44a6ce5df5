package view

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/views.md: each of its examples loads, and every method has one.
func TestViewsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/views.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	examples := ""
	for _, b := range blocks {
		ruleView(t, b[1])
		examples += b[1]
	}
	for _, m := range methodNames {
		if !strings.Contains(examples, "method: "+m) || !strings.Contains(string(page), "| `"+m+"` |") {
			t.Errorf("docs/views.md has no example or no line of %s", m)
		}
	}
}

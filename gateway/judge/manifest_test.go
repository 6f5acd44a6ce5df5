package judge

import (
	"slices"
	"testing"
)

// BULK-04: of a manifest nothing is read but its time and its files, and one
// that cannot be read whole is refused.
func TestManifest(t *testing.T) {
	const files = `"output":[{"type":"Patient","url":"http://u/1","count":7},{"url":"2","type":"Observation"}]`
	got, err := parseManifest([]byte(`{"transactionTime":"2026-01-02T03:04:05.678Z","request":"x","requiresAccessToken":false,` + files +
		`,"deleted":[{"type":"Bundle","url":"3"}],"error":[{"type":"OperationOutcome","url":"4"}],"link":[{"relation":"self","url":"x"}],"extension":{"a":1}}`))
	if err != nil || got.Time != "2026-01-02T03:04:05.678Z" || !slices.Equal(got.Files, []File{{"Patient", "http://u/1"}, {"Observation", "2"}}) {
		t.Errorf("got %v %v", got, err)
	}
	const at = `"transactionTime":"2026-01-02T03:04:05Z"`
	for _, bad := range []string{
		``, `[]`, `{}`, `{` + at + `}`, `{` + files + `}`, `{"transactionTime":"today",` + files + `}`, `{"transactionTime":7,` + files + `}`,
		`{` + at + `,` + files + `,` + files + `}`, `{` + at + `,"output":{}}`, `{` + at + `,"output":[1]}`, `{` + at + `,"output":[{"type":"Patient"}]}`,
		`{` + at + `,"output":[{"type":"Patient","url":"1","url":"2"}]}`, `{` + at + `,` + files + `,"link":[{"relation":"next","url":"x"}]}`,
		`{` + at + `,` + files + `}}`, `{` + at + `,` + files,
	} {
		if got, err := parseManifest([]byte(bad)); err == nil {
			t.Errorf("%s: got %v", bad, got)
		}
	}
}

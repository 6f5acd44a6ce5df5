package judge

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/fhir/wire"
	"gatehouse/gateway/policy"
)

// Manifest is what an export's manifest says that may be told: when its data
// was read, and which files there are. Counts tell of what is withheld, deleted
// resources name ids that nobody has judged, and errors are words of the
// upstream's own, so none of them is read.
type Manifest struct {
	Time  string // an instant
	Files []File
}

// File is one file of an export.
type File struct {
	Type string // of its resources
	URL  string // as the upstream wrote it
}

// ReadManifest reads the manifest of an export of at most limit bytes.
func ReadManifest(held policy.Unjudged, by *policy.Evaluation, limit int64) (*Manifest, error) {
	body, err := held.Open(by)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := readAll(body, limit)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrMalformed, err)
	}
	return m, nil
}

func parseManifest(raw []byte) (*Manifest, error) {
	var t wire.Tree
	if err := t.Parse(raw); err != nil {
		return nil, err
	}
	if t.Nodes[0].Kind != wire.Object {
		return nil, errors.New("not an object")
	}
	m := &Manifest{Time: memberText(&t, 0, "transactionTime")}
	if _, err := time.Parse(time.RFC3339, m.Time); err != nil {
		return nil, errors.New("transactionTime is no instant")
	}
	if link := t.Get(0, "link"); link >= 0 {
		for i := range t.Children(link) {
			if memberText(&t, i, "relation") == "next" {
				return nil, errors.New("it goes on elsewhere, which nobody asked for")
			}
		}
	}
	output := t.Get(0, "output")
	if output < 0 || t.Nodes[output].Kind != wire.Array {
		return nil, errors.New("no output")
	}
	for i := range t.Children(output) {
		f := File{Type: memberText(&t, i, "type"), URL: memberText(&t, i, "url")}
		if f.Type == "" || f.URL == "" {
			return nil, errors.New("an output without type or url")
		}
		m.Files = append(m.Files, f)
	}
	return m, nil
}

func memberText(t *wire.Tree, node int, name string) string {
	if i := t.Get(node, name); i >= 0 {
		return t.Text(i)
	}
	return ""
}

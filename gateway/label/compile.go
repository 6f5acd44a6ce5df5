package label

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/fhir"
)

// Source is the policy, which has read the tables labelling, code_systems,
// implied_labels and notices and held them to their schemas.
type Source interface {
	Table(key string) any
	Wrong(key string, at []string, text string) error // what is wrong at a place of a table
	Names(label string) bool                          // a rule names it, and knows what to do with it
}

type row struct {
	Sensitivity     []string
	Confidentiality string
	Labels          []string
	Codes           map[string][]any
	Types           []string
	Categories      []string
}

// New makes the tables ready. unlabelled is the level of confidentiality of a
// record that nothing says one of.
func New(in Source, unlabelled string) (*Table, error) {
	t := &Table{systems: map[string]*codes{}, anywhere: newCodes(), types: map[string][]byType{}, implied: map[string][]string{},
		known: fhir.KnownLabels(), named: in.Names, unlabelled: []string{unlabelled}, level: unlabelled}
	var rows []row
	var systems map[string][]string
	var notices []struct {
		Labels        []string
		Refrain, Text string
	}
	for _, d := range []struct {
		key string
		to  any
	}{{"labelling", &rows}, {"code_systems", &systems}, {"implied_labels", &t.implied}, {"notices", &notices}} {
		if err := decode(in.Table(d.key), d.to); err != nil {
			return nil, err
		}
	}
	for _, n := range notices {
		t.notices = append(t.notices, notice{n.Labels, n.Refrain, n.Text})
	}
	var problems []error
	for i, r := range rows {
		if err := t.put(r, systems); err != nil {
			problems = append(problems, in.Wrong("labelling", append([]string{strconv.Itoa(i)}, err.at...), err.text))
		}
	}
	for label := range t.implied {
		t.known[label] = true
	}
	return t, errors.Join(problems...)
}

func decode(from, to any) error {
	text, err := json.Marshal(from)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber() // a code keeps its digits
		err = d.Decode(to)
	}
	if err != nil {
		return fmt.Errorf("read labelling tables: %w", err)
	}
	return nil
}

// fault is what is wrong with a row, and where in it.
type fault struct {
	at   []string
	text string
}

func (t *Table) put(r row, systems map[string][]string) *fault {
	labels := slices.Concat(r.Sensitivity, r.Labels)
	if r.Confidentiality != "" {
		labels = append(labels, r.Confidentiality)
	}
	for _, l := range labels {
		t.known[l] = true
	}
	switch {
	case len(labels) == 0:
		return &fault{nil, "gives no label: write sensitivity, confidentiality or labels"}
	case len(r.Codes) == 0 && len(r.Types) == 0 && len(r.Categories) == 0:
		return &fault{nil, "is about no record: write codes, types or categories"}
	case len(r.Codes) > 0 && len(r.Types)+len(r.Categories) > 0:
		return &fault{nil, "has codes beside types or categories: write two rows, codes count in every type"}
	case len(r.Codes) == 0:
		t.byType(r, labels)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Codes)) {
		urls, ok := systems[name]
		if !ok && (strings.Contains(name, "://") || strings.HasPrefix(name, "urn:")) {
			urls, ok = []string{name}, true
		}
		if !ok {
			return &fault{[]string{"codes", name}, "is not among code_systems: write " + strings.Join(slices.Sorted(maps.Keys(systems)), ", ") + ", or the system's URL"}
		}
		for i, entry := range r.Codes[name] {
			text := fmt.Sprint(entry)
			if strings.Trim(text, "*. ") == "" {
				return &fault{[]string{"codes", name, strconv.Itoa(i)}, "is every code: write the beginning of some, as B20*"}
			}
			if alone(text) {
				t.anywhere.put(text, labels)
			}
			for _, c := range t.system(urls) {
				c.put(text, labels)
			}
		}
	}
	return nil
}

// alone tells whether an entry says enough without its system: beginnings that
// are digits are those of too many codes.
func alone(entry string) bool {
	return entry[0] > '9' || !strings.Contains(entry, "*") && len(entry) > 4 && !strings.Contains(entry, "-")
}

// system gives the codes of each URL, and of what it is written as by mistake.
func (t *Table) system(urls []string) []*codes {
	c := t.systems[urls[0]]
	if c == nil {
		c = newCodes()
	}
	all := []*codes{c}
	for _, u := range urls {
		for _, variant := range variants(u) {
			switch at := t.systems[variant]; {
			case at == nil:
				t.systems[variant] = c
			case !slices.Contains(all, at):
				all = append(all, at) // a URL of two names
			}
		}
	}
	return all
}

func variants(url string) []string {
	all := []string{url, strings.TrimSuffix(url, "/"), strings.TrimSuffix(url, "/") + "/"}
	for _, u := range all[:3] {
		if rest, ok := strings.CutPrefix(u, "http://"); ok {
			all = append(all, "https://"+rest)
		} else if rest, ok := strings.CutPrefix(u, "https://"); ok {
			all = append(all, "http://"+rest)
		} else if rest, ok := strings.CutPrefix(u, "urn:oid:"); ok {
			all = append(all, rest)
		}
	}
	return all
}

func (t *Table) byType(r row, labels []string) {
	b := byType{r.Categories, labels}
	if len(r.Types) == 0 {
		t.everywhere = append(t.everywhere, b)
	}
	for _, typ := range r.Types {
		t.types[typ] = append(t.types[typ], b)
	}
}

package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// RowChange is a part of a table that came, went or changed. Before and After
// are JSON.
type RowChange struct {
	Change string          `json:"change"`
	Path   string          `json:"path"` // roles.nurse "the row's reason" actions
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

func diffTables(a, b map[string]table) (all []RowChange) {
	for _, key := range union(a, b) {
		all = diffValues(all, key, valueOf(a, key), valueOf(b, key))
	}
	return all
}

// absent is a value that is not there, which null is.
type absent struct{}

func valueOf(tables map[string]table, key string) any {
	if t, ok := tables[key]; ok {
		return t.value
	}
	return absent{}
}

func diffValues(all []RowChange, path string, a, b any) []RowChange {
	if reflect.DeepEqual(a, b) {
		return all
	}
	if from, ok := a.(map[string]any); ok {
		if to, ok := b.(map[string]any); ok {
			return diffMembers(all, path, from, to)
		}
	}
	if from, ok := a.([]any); ok {
		if to, ok := b.([]any); ok && keyed(from) && keyed(to) {
			return diffRows(all, path, from, to)
		}
	}
	c := RowChange{Change: Changed, Path: path, Before: inJSON(a), After: inJSON(b)}
	switch {
	case c.Before == nil:
		c.Change = Added
	case c.After == nil:
		c.Change = Removed
	}
	return append(all, c)
}

func diffMembers(all []RowChange, path string, a, b map[string]any) []RowChange {
	for _, key := range union(a, b) {
		from, ok := a[key]
		if !ok {
			from = absent{}
		}
		to, ok := b[key]
		if !ok {
			to = absent{}
		}
		all = diffValues(all, path+"."+key, from, to)
	}
	return all
}

// diffRows holds rows of the same reason against each other, in their order.
func diffRows(all []RowChange, path string, a, b []any) []RowChange {
	from, to := byReason(a), byReason(b)
	for _, reason := range union(from, to) {
		for i := range max(len(from[reason]), len(to[reason])) {
			all = diffValues(all, fmt.Sprintf("%s %q", path, reason), at(from[reason], i), at(to[reason], i))
		}
	}
	return all
}

func at(rows []any, i int) any {
	if i < len(rows) {
		return rows[i]
	}
	return absent{}
}

func byReason(rows []any) map[string][]any {
	all := map[string][]any{}
	for _, row := range rows {
		reason := reasonIn(row)
		all[reason] = append(all[reason], row)
	}
	return all
}

// keyed tells rows that are known by their reason from other lists.
func keyed(rows []any) bool {
	for _, row := range rows {
		if reasonIn(row) == "" {
			return false
		}
	}
	return true
}

func reasonIn(row any) string {
	m, _ := row.(map[string]any)
	reason, _ := m["reason"].(string)
	return reason
}

func inJSON(v any) json.RawMessage {
	if _, none := v.(absent); none {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil { // tables are JSON by their loading
		panic(err)
	}
	return text
}

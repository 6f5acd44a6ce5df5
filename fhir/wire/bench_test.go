package wire

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// facts is a plan like the one that reads what a decision needs of a page.
var facts = NewPlan("entry.resource.resourceType", "entry.resource.id", "entry.resource.meta.versionId",
	"entry.resource.meta.security.system", "entry.resource.meta.security.code", "entry.resource.status",
	"entry.resource.subject.reference", "entry.resource.patient.reference", "entry.resource.encounter.reference",
	"entry.resource.category.coding.system", "entry.resource.category.coding.code", "entry.resource.code.coding.system",
	"entry.resource.code.coding.code", "entry.resource.effectiveDateTime", "entry.fullUrl", "entry.search.mode")

func each(b *testing.B, run func(b *testing.B, doc []byte)) {
	docs := corpora(b)
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(docs[name])))
			b.ReportAllocs()
			run(b, docs[name])
		})
	}
}

func BenchmarkSkim(b *testing.B) {
	each(b, func(b *testing.B, doc []byte) {
		var hits []Hit
		for b.Loop() {
			var err error
			if hits, err = facts.Skim(doc, hits[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTree(b *testing.B) {
	each(b, func(b *testing.B, doc []byte) {
		var t Tree
		for b.Loop() {
			if err := t.Parse(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBundle(b *testing.B) {
	each(b, func(b *testing.B, doc []byte) {
		if doc[0] == '[' {
			return
		}
		for b.Loop() {
			in := NewBundle(bytes.NewReader(doc), Limits{})
			for {
				if _, err := in.Next(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkJsontext is the strict library at the same work, token by token.
func BenchmarkJsontext(b *testing.B) {
	each(b, func(b *testing.B, doc []byte) {
		for b.Loop() {
			d := jsontext.NewDecoder(bytes.NewReader(doc))
			for {
				if _, err := d.ReadToken(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkCopy is how fast bytes move at all.
func BenchmarkCopy(b *testing.B) {
	each(b, func(b *testing.B, doc []byte) {
		dst := make([]byte, len(doc))
		for b.Loop() {
			copy(dst, doc)
		}
	})
}

// BenchmarkCheck is a skim that looks for nothing.
func BenchmarkCheck(b *testing.B) {
	each(b, func(b *testing.B, doc []byte) {
		for b.Loop() {
			if _, err := nothing.Skim(doc, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

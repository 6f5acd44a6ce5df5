package wire

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// facts is a plan like the one that reads what a decision needs of a page.
var facts = NewPlan("entry.resource.resourceType", "entry.resource.id", "entry.resource.meta.versionId",
	"entry.resource.meta.security.system", "entry.resource.meta.security.code", "entry.resource.status",
	"entry.resource.subject.reference", "entry.resource.patient.reference", "entry.resource.encounter.reference",
	"entry.resource.category.coding.system", "entry.resource.category.coding.code", "entry.resource.code.coding.system",
	"entry.resource.code.coding.code", "entry.resource.effectiveDateTime", "entry.fullUrl", "entry.search.mode")

// measure runs f on each page. Beside the mean it reports the best single run,
// which is what the code can do when nobody else uses the machine.
func measure(b *testing.B, f func(doc []byte) error) {
	docs := corpora(b)
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		doc := docs[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			best := time.Hour
			for b.Loop() {
				start := time.Now()
				if err := f(doc); err != nil {
					b.Fatal(err)
				}
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(len(doc))/1e6/best.Seconds(), "best-MB/s")
		})
	}
}

func BenchmarkSkim(b *testing.B) {
	var hits []Hit
	measure(b, func(doc []byte) (err error) {
		hits, err = facts.Skim(doc, hits[:0])
		return err
	})
}

// BenchmarkCheck is a skim that looks for nothing.
func BenchmarkCheck(b *testing.B) {
	measure(b, func(doc []byte) error {
		_, err := nothing.Skim(doc, nil)
		return err
	})
}

func BenchmarkTree(b *testing.B) {
	var t Tree
	measure(b, func(doc []byte) error { return t.Parse(doc) })
}

func BenchmarkBundle(b *testing.B) {
	measure(b, func(doc []byte) error {
		if doc[0] == '[' {
			return nil // a corpus of several
		}
		in := NewBundle(bytes.NewReader(doc), Limits{})
		for {
			if _, err := in.Next(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}

// BenchmarkJsontext is the strict library at the same work, token by token.
func BenchmarkJsontext(b *testing.B) {
	measure(b, func(doc []byte) error {
		d := jsontext.NewDecoder(bytes.NewReader(doc))
		for {
			if _, err := d.ReadToken(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
}

// BenchmarkCopy is how fast bytes move at all.
func BenchmarkCopy(b *testing.B) {
	var dst []byte
	measure(b, func(doc []byte) error {
		dst = append(dst[:0], doc...)
		return nil
	})
}

// BenchmarkMold follows a mold that differs, as neighbours of a page do, in five
// short values of a kilobyte.
func BenchmarkMold(b *testing.B) {
	entry := func(id string) []byte {
		var doc []byte
		for i := range 5 {
			doc = fmt.Appendf(doc, `,"a%d":{"value":"%s","text":"%s"}`, i, id, strings.Repeat("x", 170))
		}
		doc[0] = '{'
		return append(doc, '}')
	}
	var m Mold
	m.Make(entry("o17"))
	var changed []Change
	doc := entry("o99")
	b.SetBytes(int64(len(doc)))
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		for range 100 {
			var ok bool
			if _, changed, ok = m.Follow(doc, changed[:0]); !ok {
				b.Fatal("it does not follow")
			}
		}
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best.Nanoseconds())/100, "best-ns")
}

package main

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/fhir/wire"
)

func viewKAnonymity() *cobra.Command {
	var quasi []string
	var typ string
	var k int
	c := &cobra.Command{
		Use:   "kanonymity --quasi ELEMENT,… FILE…",
		Short: "Tell which elements together single patients out",
		Long: `Reads resources, Bundles or NDJSON, such as an export or what deid made of one, and
counts how many patients share their values of each combination of the elements named.
A group of one is a person who can be found by what is known of them elsewhere. Of the
values themselves nothing is written. With --fail it exits 1 where a group of all
elements is smaller than --k.`,
		Example: "  gatehouse view kanonymity --quasi gender,birthDate,address.postalCode export/Patient.ndjson",
		Args:    cobra.MinimumNArgs(1),
	}
	fail := c.Flags().Bool("fail", false, "exit 1 where groups are too small")
	c.Flags().StringSliceVar(&quasi, "quasi", nil, "`ELEMENTS` by which people may be known, e.g. gender,birthDate,address.postalCode")
	c.Flags().StringVar(&typ, "type", "Patient", "resource `TYPE` that is counted")
	c.Flags().IntVar(&k, "k", 11, "smallest group that tells of nobody")
	required(c, "quasi")
	c.RunE = func(c *cobra.Command, files []string) error {
		if len(quasi) > maxQuasi || len(quasi) == 0 {
			return fmt.Errorf("name 1 to %d elements", maxQuasi)
		}
		t := newCells(typ, quasi)
		list, err := inputs(files)
		if err != nil {
			return err
		}
		for _, in := range list {
			if err := t.file(in.path); err != nil {
				return fmt.Errorf("%s: %w", in.path, err)
			}
		}
		small := t.report(c.OutOrStdout(), k)
		if *fail && small > 0 {
			return fmt.Errorf("%d %ss are in groups under %d", small, typ, k)
		}
		return nil
	}
	return c
}

// maxQuasi bounds the combinations: each holds a number for each group.
const maxQuasi = 6

// cells counts, for each combination of elements, the resources of each group.
type cells struct {
	typ    string
	quasi  [][]string
	names  []string
	seed   maphash.Seed
	groups []map[uint64]int32 // by combination, a bit for each element; groups[0] is not used
	total  int
	tree   wire.Tree
}

func newCells(typ string, quasi []string) *cells {
	t := &cells{typ: typ, names: quasi, seed: maphash.MakeSeed(), groups: make([]map[uint64]int32, 1<<len(quasi))}
	for _, q := range quasi {
		t.quasi = append(t.quasi, strings.Split(strings.TrimPrefix(q, typ+"."), "."))
	}
	for i := range t.groups {
		t.groups[i] = map[uint64]int32{}
	}
	return t
}

func (t *cells) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if filepath.Ext(name) != ".ndjson" {
		doc, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		if t.tree.Parse(bytes.TrimPrefix(doc, []byte("\ufeff"))) == nil {
			t.resource(0)
			return nil
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	lines := wire.NewLines(f, 64<<20)
	for n := 1; ; n++ {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = t.tree.Parse(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		t.resource(0)
	}
}

// resource counts a resource, or those of a Bundle.
func (t *cells) resource(i int) {
	typ := t.tree.Get(i, "resourceType")
	if typ < 0 {
		return
	}
	if list := t.tree.Get(i, "entry"); t.tree.Text(typ) == "Bundle" && list >= 0 {
		for e := range t.tree.Children(list) {
			if r := t.tree.Get(e, "resource"); r >= 0 {
				t.resource(r)
			}
		}
	}
	if t.tree.Text(typ) != t.typ {
		return
	}
	t.total++
	values := make([]string, len(t.quasi))
	for q, path := range t.quasi {
		found := t.values(i, path, nil)
		slices.Sort(found)
		values[q] = strings.Join(found, "\x00")
	}
	for set := 1; set < len(t.groups); set++ {
		var h maphash.Hash
		h.SetSeed(t.seed)
		for q := range values {
			if set&(1<<q) != 0 {
				h.WriteString(values[q])
				h.WriteByte(1)
			}
		}
		t.groups[set][h.Sum64()]++
	}
}

func (t *cells) values(i int, path []string, found []string) []string {
	if t.tree.Nodes[i].Kind == wire.Array {
		for c := range t.tree.Children(i) {
			found = t.values(c, path, found)
		}
		return found
	}
	if len(path) == 0 {
		return append(found, string(t.tree.Raw(i)))
	}
	if at := t.tree.Get(i, path[0]); at >= 0 {
		return t.values(at, path[1:], found)
	}
	return found
}

// report writes a line for each combination, the least particular first, and
// returns how many resources all elements together put into groups under k.
func (t *cells) report(out io.Writer, k int) (small int) {
	fmt.Fprintf(out, "%d %ss\n", t.total, t.typ)
	for size := 1; size <= len(t.quasi); size++ {
		for set := 1; set < len(t.groups); set++ {
			var names []string
			for q := range t.names {
				if set&(1<<q) != 0 {
					names = append(names, t.names[q])
				}
			}
			if len(names) != size || t.total == 0 {
				continue
			}
			least, few, alone := int32(t.total), int32(0), 0
			for _, n := range t.groups[set] {
				least = min(least, n)
				if n < int32(k) {
					few += n
				}
				if n == 1 {
					alone++
				}
			}
			small = int(few)
			fmt.Fprintf(out, "%s: %d groups, the smallest of %d; %d alone, %d in groups under %d\n", strings.Join(names, " + "), len(t.groups[set]), least, alone, few, k)
		}
	}
	return small
}

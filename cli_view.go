package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/fhir/wire"
	"gatehouse/gateway/view"
)

func viewCommands() *cobra.Command {
	group := &cobra.Command{Use: "view", Short: "Check views, and show what they change"}
	group.AddCommand(viewLint(), viewApply(), viewKAnonymity())
	return group
}

func viewLint() *cobra.Command {
	var o deidOptions
	c := &cobra.Command{
		Use:   "lint NAME|FILE...",
		Short: "Print every problem of view files",
		Long: `Loads views as serve does and prints what is wrong as FILE:LINE:COLUMN: text, and
of those that load what to look at: rules that never apply, text that survives as it
is, keys that can be guessed, settings that protect little. No key is needed.`,
		Example: "  gatehouse view lint views/*.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			var problems []error
			for _, name := range names {
				o.view = name
				w, err := o.loadWith(throwaway())
				if err != nil {
					problems = append(problems, err)
					continue
				}
				for _, what := range w.Findings() {
					fmt.Fprintf(c.OutOrStdout(), "%s\n", what)
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: good\n", name)
			}
			return errors.Join(problems...)
		},
	}
	o.release.flag(c)
	c.Flags().StringVar(&o.compat, "compat", "", "whose rules the files hold: `TOOL` microsoft or miracum; default our own")
	return c
}

// throwaway is a codec for views that are loaded and not used.
func throwaway() *view.Codec {
	key := make([]byte, config.KeySize)
	rand.Read(key) // never fails
	codec, err := view.NewCodec(view.MemoryVault(), key)
	if err != nil { // the key is of the right kind
		panic(err)
	}
	return codec
}

func viewApply() *cobra.Command {
	var o deidOptions
	var diff bool
	c := &cobra.Command{
		Use:   "apply --view NAME|FILE [--key-file FILE --domain NAME] FILE...",
		Short: "Show resources through a view, or what it changes of them",
		Long: `Writes one resource a file as the view shows it. With --diff it writes instead
each element that the view takes away (-), changes (~) or adds (+), one a line:
what a rule did, and what no rule thought of. Both are patient data. A view that
makes pseudonyms or shifts dates needs --key-file and --domain.`,
		Example: "  gatehouse view apply --view research --key-file keys/pseudonyms.key --domain study-17 --diff patient.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			w, err := o.load()
			if err != nil {
				return err
			}
			for _, name := range files {
				if err := o.applyTo(c.OutOrStdout(), w, name, diff); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&diff, "diff", false, "write what changes")
	return c
}

func (o *deidOptions) applyTo(out io.Writer, w *view.View, name string, diff bool) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	patient, _ := view.PatientOf(o.release.Version, text, nil)
	shown, err := w.Apply(nil, text, view.Context{Domain: o.domain, Patient: patient})
	if err != nil {
		return err
	}
	if !diff {
		_, err = fmt.Fprintf(out, "%s\n", shown)
		return err
	}
	var before, after wire.Tree
	if err := errors.Join(before.Parse(text), after.Parse(shown)); err != nil {
		return err
	}
	d := differ{out, &before, &after}
	root := before.Text(max(0, before.Get(0, "resourceType")))
	d.object(root, 0, 0)
	return nil
}

// differ writes what differs between two trees, by path.
type differ struct {
	out           io.Writer
	before, after *wire.Tree
}

func (d *differ) value(path string, i, j int) {
	kind := d.before.Nodes[i].Kind
	switch {
	case kind == wire.Object && d.after.Nodes[j].Kind == kind:
		d.object(path, i, j)
	case kind == wire.Array && d.after.Nodes[j].Kind == kind:
		d.array(path, i, j)
	case string(d.before.Raw(i)) != string(d.after.Raw(j)):
		fmt.Fprintf(d.out, "~ %s %s → %s\n", path, brief(d.before.Raw(i)), brief(d.after.Raw(j)))
	}
}

func (d *differ) object(path string, i, j int) {
	for k := d.before.First(i); k < int(d.before.Nodes[i].Next); k = int(d.before.Nodes[k].Next) {
		name := string(d.before.Name(k))
		if other := d.after.Get(j, name); other >= 0 {
			d.value(path+"."+name, k, other)
		} else {
			fmt.Fprintf(d.out, "- %s.%s %s\n", path, name, brief(d.before.Raw(k)))
		}
	}
	for k := d.after.First(j); k < int(d.after.Nodes[j].Next); k = int(d.after.Nodes[k].Next) {
		if name := string(d.after.Name(k)); d.before.Get(i, name) < 0 {
			fmt.Fprintf(d.out, "+ %s.%s %s\n", path, name, brief(d.after.Raw(k)))
		}
	}
}

// array compares elements by their place where as many are left, else it cannot
// know which one went.
func (d *differ) array(path string, i, j int) {
	mine, theirs := elements(d.before, i), elements(d.after, j)
	if len(mine) != len(theirs) {
		fmt.Fprintf(d.out, "~ %s %s → %s\n", path, brief(d.before.Raw(i)), brief(d.after.Raw(j)))
		return
	}
	for n := range mine {
		d.value(fmt.Sprintf("%s[%d]", path, n), mine[n], theirs[n])
	}
}

func elements(t *wire.Tree, i int) (list []int) {
	for k := t.First(i); k < int(t.Nodes[i].Next); k = int(t.Nodes[k].Next) {
		list = append(list, k)
	}
	return list
}

func brief(raw []byte) string {
	const most = 72
	if text := []rune(string(raw)); len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(raw)
}

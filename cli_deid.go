package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway/view"
)

// deidOptions are the flags of deid.
type deidOptions struct {
	view, compat, keyFile, now, domain, shape, tenant string
	release                                           fhirRelease

	out      string
	vault    string
	kept     *lateVault // of vault, once open
	passing  *runVault  // in its place where none is named
	progress bool
	workers  int
	told     io.Writer // of progress
}

func deid() *cobra.Command {
	var o deidOptions
	c := &cobra.Command{
		Use:   "deid --view NAME|FILE [--key-file FILE --domain NAME] [FILE...]",
		Short: "Apply a view to files",
		Long: `Writes resources, Bundles or NDJSON, from files or stdin, to stdout as a view
shows them: in the order of the input, one line for one line. With --domain and
the gateway's own pseudonym key it gives what the gateway would give to that
domain. Where something cannot be read, deid stops and says where; a resource that
can be read and not be shown leaves an OperationOutcome. Several processors work at
once. Directories are read for .json and .ndjson files.

With --out, each file is written below that directory under its own name. A run that
broke off is taken up again by the same command, where it stopped. A view whose ids are
random, such as safe-harbor, needs --vault for that: a directory that keeps which id is
whose, sealed under the key, so that the next run makes the same ones. Keep it where the
key is, never with what is handed out.

With --compat, FILE is a rule file of Microsoft's FHIR anonymizer or of
miracum's FHIR pseudonymizer, and the output is what that tool would write. A key that
is empty in it, for which the tools draw one anew each time, is made from --key-file.
Nothing is written before all has been read.`,
		Example: `  gatehouse deid --view research --key-file keys/pseudonyms.key --domain study-17 patients.ndjson > out.ndjson
  gatehouse deid --view research --key-file keys/pseudonyms.key --domain study-17 --out shared/ export/
  gatehouse deid --view views/billing.yaml < bundle.json
  gatehouse deid --view rules.json --compat microsoft --now 2024-06-30 patient.json`,
		RunE: func(c *cobra.Command, files []string) error {
			o.told = c.ErrOrStderr()
			if o.compat == "" || o.out != "" {
				return deidentify(c.OutOrStdout(), c.InOrStdin(), files, o)
			}
			return whole(c.OutOrStdout(), func(out io.Writer) error { return deidentify(out, c.InOrStdin(), files, o) })
		},
	}
	o.flags(c)
	c.Flags().StringVar(&o.out, "out", "", "write a file for each file into `DIR`, and take up what broke off")
	c.Flags().StringVar(&o.vault, "vault", "", "keep random ids, and ids too long to be sealed, in `DIR`")
	c.Flags().BoolVar(&o.progress, "progress", false, "tell on stderr how far it is; default where stderr is a terminal")
	c.Flags().IntVar(&o.workers, "workers", 0, "how many work at once; default one for each processor")
	return c
}

func (o *deidOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.view, "view", "", "shipped view, or `FILE` of rules")
	c.Flags().StringVar(&o.compat, "compat", "", "whose rules FILE holds: `TOOL` microsoft or miracum; default our own")
	c.Flags().StringVar(&o.keyFile, "key-file", "", "pseudonym key `FILE`; required where the view makes pseudonyms or shifts dates")
	c.Flags().StringVar(&o.now, "now", "", "`DATE` from which ages are counted, YYYY-MM-DD; default today")
	o.release.flag(c)
	c.Flags().StringVar(&o.domain, "domain", "", "whose pseudonyms and dates: a `NAME` as in clients.*.domain; required where the view needs a key")
	c.Flags().StringVar(&o.shape, "shape", "sealed", "`SHAPE` of pseudonyms, as in pseudonyms.shape: sealed or uuid")
	c.Flags().StringVar(&o.tenant, "tenant", "", "`NAME` as in pseudonyms.tenant")
	required(c, "view")
}

func deidentify(out io.Writer, in io.Reader, files []string, o deidOptions) (err error) {
	w, err := o.load()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.kept.close(), o.passing.close()) }()
	t := newTeller(o)
	defer t.end()
	job := func(c view.Context) *view.Job { return t.of(&view.Job{View: w, Context: c, Workers: o.workers}) }
	if len(files) == 0 {
		if o.out != "" {
			return errors.New("--out needs files or directories")
		}
		return job(view.Context{Domain: o.domain}).Run(out, in)
	}
	list, err := inputs(files)
	if err != nil {
		return err
	}
	if o.out != "" {
		return o.into(w, o.out, list, job)
	}
	for _, one := range list {
		if err := deidFile(out, one.path, o.domain, job); err != nil {
			return fmt.Errorf("%s: %w", one.path, err)
		}
	}
	return nil
}

func deidFile(out io.Writer, name, domain string, job func(view.Context) *view.Job) error {
	path, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return job(view.Context{Domain: domain, Source: path}).Run(out, f)
}

// whole writes all that f writes, or nothing: until f is done it is kept in a
// file that nobody can open by name.
func whole(out io.Writer, f func(io.Writer) error) error {
	spool, err := os.CreateTemp("", "gatehouse-deid-")
	if err != nil {
		return fmt.Errorf("keep output until it is whole: %w", err)
	}
	defer spool.Close()
	if err := os.Remove(spool.Name()); err != nil {
		return fmt.Errorf("keep output until it is whole: %w", err)
	}
	if err := f(spool); err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	_, err = io.Copy(out, spool)
	return err
}

// load makes the view that the flags describe.
func (o *deidOptions) load() (*view.View, error) {
	if o.shape != "sealed" && o.shape != "uuid" {
		return nil, fmt.Errorf("--shape %q is not known; write sealed or uuid", o.shape)
	}
	if o.keyFile == "" {
		return o.loadWith(nil)
	}
	keys, err := config.ReadPseudonymKeys(o.keyFile)
	if err != nil {
		return nil, fmt.Errorf("pseudonym key %s: %w", o.keyFile, err)
	}
	vault, err := o.openVault()
	if err != nil {
		return nil, err
	}
	codec, err := view.CodecOptions{Vault: vault, Next: keys.Epochs[keys.Writes+1:], Dropped: keys.Dropped, Tenant: o.tenant, UUIDs: o.shape == "uuid"}.
		Codec(keys.Epochs[:keys.Writes+1]...)
	if err != nil {
		return nil, fmt.Errorf("pseudonym key %s: %w", o.keyFile, err)
	}
	return o.loadWith(codec)
}

func (o *deidOptions) loadWith(codec *view.Codec) (*view.View, error) {
	c := config.View{Use: o.view}
	if o.compat != "" || !slices.Contains(view.Shipped(), o.view) {
		c = config.View{File: o.view, Compat: o.compat}
	}
	now := time.Now
	if o.now != "" {
		day, err := time.Parse(time.DateOnly, o.now)
		if err != nil {
			return nil, fmt.Errorf("--now %q is no date; write YYYY-MM-DD", o.now)
		}
		now = func() time.Time { return day }
	}
	return view.Load(o.release.Version, o.view, c, view.Options{Codec: codec, Now: now, FillKeys: o.keyFile != ""})
}

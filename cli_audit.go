package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/gateway/audit"
	"gatehouse/gateway/seal"
)

// trail says which log a command reads: that of a configuration, or a directory
// and the key for it.
type trail struct {
	config, dir, keyFile string
	dirs                 []string // of replicas, where a command takes several
}

func (t *trail) flags(c *cobra.Command, key string) *cobra.Command {
	c.Flags().StringVarP(&t.config, "config", "c", "", "configuration `FILE` that names log and keys")
	if c.Annotations["dirs"] == "several" {
		c.Flags().StringArrayVar(&t.dirs, "dir", nil, "`DIRECTORY` of a log, instead of -c; repeated: of each replica")
	} else {
		c.Flags().StringVar(&t.dir, "dir", "", "`DIRECTORY` of a log, instead of -c")
	}
	c.Flags().StringVar(&t.keyFile, "key-file", "", key)
	c.MarkFlagsOneRequired("config", "dir")
	c.MarkFlagsMutuallyExclusive("config", "dir")
	c.MarkFlagsMutuallyExclusive("config", "key-file")
	return c
}

// options are those that the gateway of a configuration opens its log with.
func (t *trail) options() (audit.Options, error) {
	cfg, problems := config.Load(t.config)
	if err := problems.Err(); err != nil {
		return audit.Options{}, err
	}
	return gateway.AuditOptions(cfg)
}

// open gives the directory and the key that opens records.
func (t *trail) open() (dir string, key []byte, err error) {
	if t.config != "" {
		o, err := t.options()
		return o.Dir, o.Key, err
	}
	if t.keyFile == "" {
		return "", nil, errors.New("--dir needs --key-file, the audit key")
	}
	keys, err := config.ReadKeys(t.keyFile)
	if err != nil {
		return "", nil, fmt.Errorf("audit key %s: %w", t.keyFile, err)
	}
	for _, k := range slices.Backward(keys.Epochs) { // the newest wraps most
		key = append(key, k...)
	}
	return t.dir, key, nil
}

var severalDirs = map[string]string{"dirs": "several"}

func auditCommands() *cobra.Command {
	group := &cobra.Command{Use: "audit", Short: "Verify, export and read the audit log, also while the gateway runs"}
	group.AddCommand(auditVerify(), auditExport(), auditReport(), auditIndex(), auditHold(), auditRelease(), auditExpire(), auditDetect())
	return group
}

func auditVerify() *cobra.Command {
	var t trail
	var public, kept, witnesses []string
	c := t.flags(&cobra.Command{
		Use: "verify", Annotations: severalDirs,
		Short: "Check that no record was changed, added or removed",
		Long: `Checks every record against the log's signed checkpoint and gives two verdicts:
integrity (each record is the one that was signed) and completeness (none is
missing up to the log's own checkpoint). A rollback to an older copy of the whole
directory is good in itself, and needs no key, only a copy and the right to write;
whoever holds the signing key could also sign a shortened log anew. Both show only
against checkpoints (the file named checkpoint) that were kept elsewhere: name
them here.

A key file in keys/ that is gone makes its segment unreadable, which no hash
shows: that each is there is told apart, with -c also that it opens.

The public key alone is enough; with -c it is printed. With --key-file it is
made from the signing key, or from the sealing key that this one is derived from.

A checkpoint that a witness signed need not have been kept out of the operator's
reach: with --witness the file of audit.dir/witness serves, as long as the time of
its signature is recent enough for you.

Of several replicas name each log (--dir) and its public key; a kept checkpoint is
held against the log that it names.`,
		Example: `  gatehouse audit verify -c gatehouse.yaml
  gatehouse audit verify --dir copy/ --public-key 'gatehouse/fhir.example.org+…' --checkpoint kept`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return errors.Join(t.verifyAll(c.OutOrStdout(), public, kept), cosigned(c.OutOrStdout(), witnesses, kept))
		},
	}, "signing key `FILE`, with --dir")
	c.Flags().StringArrayVar(&public, "public-key", nil, "public `KEY` of the log, with --dir; may be repeated")
	c.Flags().StringArrayVar(&kept, "checkpoint", nil, "`FILE` with a checkpoint that was kept elsewhere; may be repeated")
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "public `KEY` of a witness that must have signed each --checkpoint; may be repeated")
	c.MarkFlagsMutuallyExclusive("public-key", "key-file", "config")
	return c
}

// verifier is a log and what is at hand to check it with.
type verifier struct {
	dir, public string
	key         []byte // opens records; nil where it is not at hand
}

func (t *trail) verifier(public string) (verifier, error) {
	if t.config != "" {
		o, err := t.options()
		if err != nil {
			return verifier{}, err
		}
		public, err = audit.VerifierKey(o.Origin, o.Seed)
		return verifier{o.Dir, public, o.Key}, err
	}
	if public != "" {
		return verifier{dir: t.dir, public: public}, nil
	}
	if t.keyFile == "" {
		return verifier{}, errors.New("--dir needs --public-key or --key-file")
	}
	public, err := publicOf(t.dir, t.keyFile)
	return verifier{dir: t.dir, public: public}, err
}

// publicOf makes the public key of the log in dir from its signing key, or from
// the sealing key: whichever the checkpoint was signed with.
func publicOf(dir, keyFile string) (string, error) {
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return "", fmt.Errorf("read checkpoint: %w", err)
	}
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	keys, err := config.ReadKeys(keyFile)
	if err != nil {
		return "", fmt.Errorf("signing key %s: %w", keyFile, err)
	}
	key := keys.Epochs[0] // what signs is derived from the oldest
	sealer, err := seal.New(key)
	if err != nil {
		return "", fmt.Errorf("signing key %s: %w", keyFile, err)
	}
	for _, seed := range [][]byte{key, sealer.Derive("audit-signing", config.KeySize)} {
		public, err := audit.VerifierKey(origin, seed)
		if err != nil {
			return "", err
		}
		verifier, err := note.NewVerifier(public)
		if err != nil {
			return "", fmt.Errorf("public key of the log: %w", err)
		}
		if _, err := note.Open(checkpoint, note.VerifierList(verifier)); err == nil {
			return public, nil
		}
	}
	return "", fmt.Errorf("%s is not the key that signed the log in %s", keyFile, dir)
}

func (v verifier) run(out io.Writer, kept []string) error {
	var checkpoints [][]byte
	for _, path := range kept {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read kept checkpoint: %w", err)
		}
		checkpoints = append(checkpoints, text)
	}
	report, err := audit.Verify(v.dir, v.public, checkpoints...)
	if err != nil {
		return err
	}
	segments, keyErr := audit.KeyFiles(v.dir, v.key)
	keys := v.keysGood(segments)
	if there, _ := filepath.Glob(filepath.Join(v.dir, "keys", "*.key")); v.key == nil && len(there) == 0 && segments > 0 {
		keys, keyErr = "none: this is a copy to verify, which nobody can read", nil
	}
	fmt.Fprintf(out, "log          %s\npublic key   %s\nsigned       %d records\nunsigned     %d younger than the checkpoint\n",
		report.Origin, v.public, report.Size, report.Unsigned)
	if report.Expired > 0 {
		fmt.Fprintf(out, "expired      %d records, as the log has signed; their hashes are still in the tree\n", report.Expired)
	}
	if v.key != nil {
		v.span(out)
	}
	fmt.Fprintf(out, "integrity    %s\ncompleteness %s\nkey files    %s\n",
		verdict(report.Integrity, "good"), verdict(report.Completeness, completeness(len(kept))), verdict(keyErr, keys))
	if report.FirstBad >= 0 {
		fmt.Fprintf(out, "first bad    record %d\n", report.FirstBad)
	}
	if !report.OK() {
		return errors.New("the log is not what was signed")
	}
	if keyErr != nil {
		return fmt.Errorf("records that are signed cannot be read: %w", keyErr)
	}
	return nil
}

// completeness is the verdict when nothing is missing. Against the log's own
// checkpoint alone an older copy of the directory is as good as the log.
func completeness(kept int) string {
	if kept == 0 {
		return "good up to the log's own checkpoint; a rollback to an older copy shows only against a kept checkpoint (--checkpoint)"
	}
	return fmt.Sprintf("good, also against %d kept", kept)
}

func (v verifier) keysGood(segments int) string {
	if v.key == nil {
		return fmt.Sprintf("%d of %d there; that they open is checked with -c", segments, segments)
	}
	return fmt.Sprintf("%d of %d open", segments, segments)
}

// span prints the times of the records: an operator who knows that the gateway
// ran yesterday sees by them that the log ends last month.
func (v verifier) span(out io.Writer) {
	r, err := audit.OpenReader(v.dir, v.key)
	if err != nil {
		return
	}
	span, err := r.Whole(func(*audit.Record) error { return nil })
	if span.Records == 0 {
		return
	}
	fmt.Fprintf(out, "times        %s to %s UTC", span.First.Format(time.DateTime), span.Last.Format(time.DateTime))
	if err != nil {
		fmt.Fprintf(out, ", of the first %d records: the rest cannot be read", span.Records)
	}
	fmt.Fprintln(out)
}

func verdict(err error, good string) string {
	if err == nil {
		return good
	}
	return err.Error()
}

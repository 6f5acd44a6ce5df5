package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

func keys() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "Make, rotate, drop and list the keys that a configuration names"}
	group.AddCommand(keysNew(), keysRotate(), keysDrop(), keysList())
	return group
}

func keysNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Make a key file",
		Long: `Makes a key of 32 random bytes for any use: sealing, pseudonyms, state, audit
and audit signing, each with a file of its own. The file is readable by its
owner alone, and a file that is there already is never overwritten.

Back up the keys of pseudonyms and audit: without them the pseudonyms that were
given out lead nowhere, and nobody can read the records.

Where keys must not lie in files, name key_env (a variable with the text of a key
file) or key_command (a program that prints it, such as one that has a key
management service decrypt it) in place of key_file.`,
		Example: "  gatehouse keys new keys/sealing.key",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return config.NewKey(args[0]) },
	}
}

func keysRotate() *cobra.Command {
	var announce bool
	c := &cobra.Command{
		Use:   "rotate FILE",
		Short: "Add a new key to a key file; what the old ones made still opens",
		Long: `Adds a key to a key file. From then on it makes what is new, and what the keys
before it made still opens: pseudonyms and page links at once, since the gateway
reads a changed key file by itself; audit and state from the next start on. The
file is replaced whole, with its owner and mode.

Replicas read a new key one after another. So with several of them announce it
first; when all have it, rotate lets it write:

  gatehouse keys rotate --announce keys/pseudonyms.key
  gatehouse keys rotate keys/pseudonyms.key

Never take a line out of the files of pseudonyms, state and sealing: date shifts,
one-way hashes, UUID-shaped pseudonyms and surrogates stand by the first key for
good, and so do the stores and the log whose keys are made from the sealing key.
Of an audit key, the lines before the last may go once the gateway has started
with the new one. An audit signing key is never rotated: the log is signed with
one for good.`,
		Example: "  gatehouse keys rotate keys/sealing.key",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return config.RotateKey(args[0], announce, time.Now()) },
	}
	c.Flags().BoolVar(&announce, "announce", false, "the new key opens, and waits until the next rotate lets it write")
	return c
}

func keysList() *cobra.Command {
	return &cobra.Command{
		Use:   "list FILE...",
		Short: "List the keys of key files by their ids, never the keys",
		Long: `Lists the keys of key files, oldest first: the letter that pseudonyms of it begin
with, an id that tells keys apart and tells nothing of them, when it was made
where the file says it, and whether it writes, opens what it wrote, waits, or was
dropped.`,
		Example: "  gatehouse keys list keys/pseudonyms.key",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "FILE\tEPOCH\tID\tMADE\tSTATE")
			for _, file := range files {
				if err := listKeys(w, file); err != nil {
					return err
				}
			}
			return w.Flush()
		},
	}
}

func listKeys(out io.Writer, file string) error {
	keys, err := config.ReadPseudonymKeys(file)
	if err != nil {
		return fmt.Errorf("key file %s: %w", file, err)
	}
	for i, key := range keys.Epochs {
		state, made := "opens", keys.Made[i]
		if i == keys.Writes {
			state = "writes"
		}
		if i > keys.Writes {
			state = "waits"
		}
		if keys.Dropped[i] {
			state = "dropped"
		}
		if made == "" {
			made = "-"
		}
		if _, err := fmt.Fprintf(out, "%s\t%c\t%s\t%s\t%s\n", file, 'A'+i, config.KeyID(key), made, state); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

func keysDrop() *cobra.Command {
	var confirm string
	c := &cobra.Command{
		Use:   "drop FILE EPOCH",
		Short: "Let a leaked key of pseudonyms open nothing any more",
		Long: `Drops a key of a file of pseudonyms that has leaked, named by its letter: who
holds it can make pseudonyms of ids that they guess, which the gateway would take.
Without --confirm nothing is changed, and what would stop is told; with the key's id
it is done, at once for a gateway that serves.

From then on no pseudonym of a record, no identifier and no encrypted text that
begins with the letter opens: searched or read by it is 404 or an empty answer, as
by a foreign one, and "pseudonym resolve" finds nothing. Recipients must be given
their data anew, which then bears the newest key's pseudonyms. The key that writes
is not dropped: rotate first.

What does not change: random surrogates (safe-harbor), which no key makes; and, of
the first key, date shifts, one-way hashes and UUID-shaped pseudonyms, which stand
by it for good. If the first key has leaked and these must be saved too, begin a
new file, and with it new data sets. The line stays in the file, marked: "erase"
finds by it what was kept for ids too long to fit, whose entries in the vault stay
until then and open for nobody.`,
		Example: "  gatehouse keys drop keys/pseudonyms.key A\n  gatehouse keys drop keys/pseudonyms.key A --confirm 1c0ffee1",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if confirm != "" {
				return config.DropKey(args[0], args[1], confirm)
			}
			return tellDrop(c, args[0], args[1])
		},
	}
	c.Flags().StringVar(&confirm, "confirm", "", "the id of the key, as the first call tells it")
	return c
}

// tellDrop says what dropping a key would stop.
func tellDrop(c *cobra.Command, file, letter string) error {
	keys, err := config.ReadPseudonymKeys(file)
	if err != nil {
		return fmt.Errorf("key file %s: %w", file, err)
	}
	at, err := keys.Epoch(letter)
	if err != nil {
		return fmt.Errorf("key file %s %w", file, err)
	}
	id := config.KeyID(keys.Epochs[at])
	fmt.Fprintf(c.OutOrStdout(), "Pseudonyms, identifiers and encrypted texts that begin with %s will open no more (key %s).\n", letter, id)
	if at == 0 {
		fmt.Fprintln(c.OutOrStdout(), "It is the first key: date shifts, one-way hashes and UUID-shaped pseudonyms go on to stand by it.\n"+
			"Who holds it can compute them; only a new key file, with new data for every recipient, ends that.")
	}
	fmt.Fprintf(c.OutOrStdout(), "To do it: gatehouse keys drop %s %s --confirm %s\n", file, letter, id)
	return errors.New("nothing is dropped yet")
}

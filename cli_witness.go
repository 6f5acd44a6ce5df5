package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"gatehouse/gateway/audit"
)

// cosigned checks that each witness signed each kept checkpoint, and says when:
// one that a witness signed is no word of the operator's alone.
func cosigned(out io.Writer, witnesses, kept []string) error {
	if len(witnesses) > 0 && len(kept) == 0 {
		return errors.New("--witness needs --checkpoint, the checkpoint that it signed")
	}
	var missing []error
	for _, key := range witnesses {
		w, err := audit.ParseWitness(key)
		if err != nil {
			return fmt.Errorf("--witness %w", err)
		}
		for _, path := range kept {
			text, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("read kept checkpoint: %w", err)
			}
			at, size, err := w.Cosigned(text)
			if err != nil {
				missing = append(missing, fmt.Errorf("%s: %w", path, err))
				continue
			}
			fmt.Fprintf(out, "witness      %s signed %d records at %s UTC\n", w.Name(), size, at.Format(time.DateTime))
		}
	}
	return errors.Join(missing...)
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gatehouse/gateway/audit"
)

// verifyAll verifies one log, or that of each replica.
func (t *trail) verifyAll(out io.Writer, public, kept []string) error {
	if len(t.dirs) < 2 {
		if len(public) > 1 {
			return errors.New("one log has one --public-key")
		}
		t.dir = strings.Join(t.dirs, "")
		v, err := t.verifier(strings.Join(public, ""))
		if err != nil {
			return err
		}
		return v.run(out, kept)
	}
	seen := map[string]string{}
	var errs []error
	for i, dir := range t.dirs {
		if i > 0 {
			fmt.Fprintln(out)
		}
		origin, err := audit.OriginOf(dir)
		if other, twice := seen[origin]; err == nil && twice {
			err = fmt.Errorf("it has the name of %s; replicas have one each, audit.replica", other)
		}
		if seen[origin] = dir; err == nil {
			var own []string
			if own, kept, err = checkpointsOf(origin, kept); err == nil {
				err = t.verifyOne(out, dir, origin, public, own)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", dir, err))
		}
	}
	if len(kept) > 0 {
		errs = append(errs, fmt.Errorf("checkpoint %s is of none of these logs", kept[0]))
	}
	return errors.Join(errs...)
}

func (t *trail) verifyOne(out io.Writer, dir, origin string, public, kept []string) error {
	one, own := trail{dir: dir, keyFile: t.keyFile}, ""
	for _, key := range public {
		if strings.HasPrefix(key, origin+"+") {
			own = key
		}
	}
	if own == "" && len(public) > 0 {
		return fmt.Errorf("no --public-key is that of %s", origin)
	}
	v, err := one.verifier(own)
	if err != nil {
		return err
	}
	return v.run(out, kept)
}

// checkpointsOf parts the files that hold checkpoints of a log from the others.
func checkpointsOf(origin string, paths []string) (own, others []string, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, paths, fmt.Errorf("read kept checkpoint: %w", err)
		}
		if first, _, _ := strings.Cut(string(text), "\n"); first == origin {
			own = append(own, path)
		} else {
			others = append(others, path)
		}
	}
	return own, others, nil
}

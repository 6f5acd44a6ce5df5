package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// KeySource says where the keys of one use come from: a file made by `gatehouse
// keys new`, an environment variable that holds the text of one, or a command
// that prints it, such as one that has a key management service decrypt it.
type KeySource struct {
	// Readable by its owner alone.
	KeyFile string `yaml:"key_file" path:"key"`
	// Environment variable with the text of a key file.
	KeyEnv string `yaml:"key_env"`
	// Program and arguments, not read by a shell, that print the text of a key file
	// within 30 seconds; run once at each load. [aws-decrypt, keys/pseudonyms.enc]
	KeyCommand []string `yaml:"key_command"`

	held  *Keys // of a variable or command: what Load read
	drops bool  // some of its keys may have been dropped
}

// Named tells whether there is a source at all.
func (k KeySource) Named() bool { return k.KeyFile != "" || k.KeyEnv != "" || len(k.KeyCommand) > 0 }

// Read gives the keys: those of a file as it is now, others as Load found them.
func (k KeySource) Read() (Keys, error) {
	if k.held != nil {
		return *k.held, nil
	}
	if k.KeyFile == "" {
		return Keys{}, errors.New("no key is named")
	}
	if k.drops {
		return ReadPseudonymKeys(k.KeyFile)
	}
	return ReadKeys(k.KeyFile)
}

// One gives the only key, for a use that keeps its key for good.
func (k KeySource) One() ([]byte, error) {
	keys, err := k.Read()
	if err == nil && len(keys.Epochs) > 1 {
		err = errors.New("holds several keys, and this use has one for good")
	}
	if err != nil {
		return nil, err
	}
	return keys.Epochs[0], nil
}

// Where names the source; what it gives is never told.
func (k KeySource) Where() string {
	switch {
	case k.KeyFile != "":
		return k.KeyFile
	case k.KeyEnv != "":
		return "$" + k.KeyEnv
	}
	if len(k.KeyCommand) > 0 {
		return k.KeyCommand[0] // its arguments are nobody's business
	}
	return "the command"
}

// Key is where the key of pseudonyms and date shifts comes from.
func (p Pseudonyms) Key() KeySource {
	return KeySource{p.KeyFile, p.KeyEnv, p.KeyCommand, p.held, true}
}

// Key is where the key of the state store comes from.
func (s State) Key() KeySource { return KeySource{s.KeyFile, s.KeyEnv, s.KeyCommand, s.held, false} }

// Key is where the key of the records comes from.
func (a Audit) Key() KeySource { return KeySource{a.KeyFile, a.KeyEnv, a.KeyCommand, a.held, false} }

// Signing is where the key of the checkpoints comes from.
func (a Audit) Signing() KeySource {
	return KeySource{a.SigningKeyFile, a.SigningKeyEnv, a.SigningKeyCommand, a.signing, false}
}

// checkKeys reads the keys that are no files, and refuses two sources of one key.
func (l *loader) checkKeys(c *Config) {
	for _, k := range []struct {
		prefix string
		source KeySource
		held   **Keys
	}{
		{"pseudonyms.", c.Pseudonyms.Key(), &c.Pseudonyms.held}, {"sealing.", c.Sealing, &c.Sealing.held},
		{"state.", c.State.Key(), &c.State.held}, {"audit.", c.Audit.Key(), &c.Audit.held}, {"audit.signing_", c.Audit.Signing(), &c.Audit.signing},
	} {
		l.checkSource(k.prefix, k.source, k.held)
	}
	l.needsKey("sealing", c.Sealing)
	l.needsKey("audit", c.Audit.Key())
	l.needsKey("pseudonyms", c.Pseudonyms.Key())
	if signing := c.Audit.Signing(); signing.Named() && !l.failed("audit.signing_key_file") {
		if keys, err := signing.Read(); err == nil && len(keys.Epochs) > 1 {
			l.report("audit.signing_key_file", "holds several keys; a log is signed with one for good, so begin a new audit.dir with a new key")
		}
	}
}

func (l *loader) needsKey(section string, k KeySource) {
	if l.has(section) && !k.Named() && !l.failed(section+".key_file") {
		l.report(section+".key_file", "is required; for example key_file: keys/NAME.key")
	}
}

func (l *loader) checkSource(prefix string, k KeySource, held **Keys) {
	var named []string
	for _, name := range []string{"key_file", "key_env", "key_command"} {
		if l.has(prefix + name) {
			named = append(named, name)
		}
	}
	if len(named) > 1 {
		l.report(prefix+named[1], "stands beside %s; keep one of them", named[0])
		return
	}
	if len(named) == 0 || named[0] == "key_file" || l.failed(prefix+named[0]) {
		return
	}
	text, err := l.secretText(k)
	if err == nil {
		var keys Keys
		if keys, err = parseKeys(text); err == nil && !k.drops {
			err = keys.whole()
		}
		*held = &keys
	}
	if err != nil {
		l.report(prefix+named[0], "%s %s", k.Where(), err)
	}
}

func (l *loader) secretText(k KeySource) (string, error) {
	if k.KeyEnv == "" {
		return runKeyCommand(l.dir, k.KeyCommand)
	}
	text, _ := l.getenv(k.KeyEnv)
	if text == "" {
		return "", errors.New("is unset or empty; set it")
	}
	return text, nil
}

// keyWait bounds a command that waits for its service.
const keyWait = 30 * time.Second

// runKeyCommand never quotes what the command prints, on either stream: it may
// be the key.
func runKeyCommand(dir string, args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("names no program")
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyWait)
	defer cancel()
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.WaitDelay = dir, time.Second
	out := &boundedBuffer{most: maxSecret}
	c.Stdout = out
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("was not done within %s", keyWait)
		}
		return "", fmt.Errorf("failed: %w; run it by hand to see why", err)
	}
	return out.text.String(), nil
}

// boundedBuffer refuses a command that prints without end.
type boundedBuffer struct {
	text bytes.Buffer // not embedded: its ReadFrom would pass Write by
	most int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > b.most {
		return 0, errors.New("it prints more than a key file")
	}
	return b.text.Write(p)
}

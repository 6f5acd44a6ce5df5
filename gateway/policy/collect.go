package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// maxCollected bounds the files of a policy that is kept whole, in bytes.
const maxCollected = 32 << 20

// Collect gives the files of a policy as Options.Files takes them, with its tests
// and scenarios, byte by byte. Where tables are laid over others, the tables that
// hold are written as JSON instead; what ships is tested with its own tables, so
// its tests stay behind then.
func Collect(o Options) (map[string][]byte, error) {
	files := map[string][]byte{}
	if len(o.Data) > 0 {
		held, err := Gathered(o)
		if err != nil {
			return nil, err
		}
		files = held
	}
	fsys, display := FilesOf(o)
	size := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && name != "." && d.IsDir():
			return fs.SkipDir
		case d.IsDir() || strings.HasPrefix(d.Name(), ".") || !collected(o, name):
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if files[name] = text; err == nil && size+len(text) > maxCollected {
			err = errors.New("it is larger than 32 MiB")
		}
		size += len(text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", display, err)
	}
	return files, nil
}

// collected tells whether a file is taken as it is.
func collected(o Options, name string) bool {
	proof := strings.HasSuffix(name, "_test.rego") || strings.HasPrefix(name, ScenarioDir+"/")
	if len(o.Data) > 0 {
		return proof && !o.shipped()
	}
	return proof || path.Ext(name) == ".rego" || isTableName(path.Base(name))
}

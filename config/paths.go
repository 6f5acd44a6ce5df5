package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// absolute makes a path of the file independent of the working directory.
func (l *loader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(l.dir, path)
}

// checkPath checks the file or directory that a field names, by the kind that
// its path tag says:
//
//	key           made by `gatehouse keys new`
//	secret        one line of text
//	private       PEM private key
//	certificates  PEM certificates
//	file          any file that can be read
//	directory     an existing directory
//	exists        any file or directory
//	made          a directory, or nothing yet
//
// The first three must be private; see private.
func (l *loader) checkPath(key, path, kind string) {
	var err error
	switch kind {
	case "key":
		if _, err = ReadKeys(path); errors.Is(err, errDropped) && key == "pseudonyms.key_file" {
			err = nil
		}
	case "secret":
		_, err = ReadSecret(path)
	case "private":
		_, err = ReadPrivateKey(path)
	case "certificates":
		_, err = ReadCertificates(path)
	case "file":
		_, err = readBounded(path, maxFile)
	case "directory":
		_, err = os.ReadDir(path)
	case "exists":
		_, err = os.Stat(path)
	case "made":
		err = directoryOrNothing(path)
	}
	if err == nil {
		return
	}
	hint := ""
	if kind == "key" && errors.Is(err, fs.ErrNotExist) {
		hint = "; make it: gatehouse keys new " + path
	}
	l.report(key, "%s: %s%s", path, reason(err), hint)
}

func directoryOrNothing(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.IsDir() {
		return errors.New("is a file; name a directory")
	}
	return err
}

// reason is an error of the file system without the operation and path, which
// the problem says already.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read by this user"
	}
	return err.Error()
}

// readBounded reads a regular file of at most max bytes. A FIFO or a device
// would hang the start or never end.
func readBounded(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(text)) > max {
		return nil, errors.New("is too long")
	}
	return text, err
}

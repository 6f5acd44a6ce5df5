package audit

import "golang.org/x/mod/sumdb/note"

// Signer signs notes under the signing key of a log, and Verifier reads them:
// whoever has the log's public key has that of the notes.
func Signer(name string, seed []byte) (note.Signer, note.Verifier, error) {
	return newSigner(name, seed)
}

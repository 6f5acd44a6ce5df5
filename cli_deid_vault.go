package main

import "gatehouse/gateway/view"

// lateVault is the vault of a run of deid: what it keeps is durable when the journal
// says so, and not a disk flush for each resource.
type lateVault struct {
	view.Vault
	done func() error
}

// Sync leaves it to keep: output that the journal does not name is made again.
func (*lateVault) Sync() error { return nil }

func (v *lateVault) keep() error {
	if v == nil {
		return nil
	}
	return v.Vault.Sync()
}

func (v *lateVault) close() error {
	if v == nil {
		return nil
	}
	return v.done()
}

// openVault is the vault that --vault names, else one that ends with the run.
func (o *deidOptions) openVault() (view.Vault, error) {
	if o.vault == "" {
		return view.MemoryVault(), nil
	}
	vault, done, err := view.OpenVault(o.vault)
	if err != nil {
		return nil, err
	}
	o.kept = &lateVault{vault, done}
	return o.kept, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tillbook/tillbook/server/secret"
)

// secretVariable holds the keys themselves. It is no flag: what is typed can be seen
// by everybody on the machine.
const secretVariable = "TILLBOOK_SECRET"

// secretFlags say where the keys come from that seal secrets in the database.
type secretFlags struct {
	SecretFile string `name:"secret-file" placeholder:"FILE" help:"File with the key that seals secrets in the database, the same on all replicas; \"tillbook keys new\" makes one. It is read again when it changes. Without it, TILLBOOK_SECRET may hold the key itself. For the private database, one is made in the data folder."`
	KMSKey     string `name:"kms-key" placeholder:"URI" help:"Key of a Vault or OpenBao that opens the \"kms:\" keys in that file or variable, such as hcvault://vault.example.com:8200/transit/keys/tillbook; VAULT_TOKEN and its like say who we are."`
}

// text is where the keys are written; nil if nowhere.
func (f secretFlags) text(dataDir string, private bool) (secret.Text, error) {
	if f.SecretFile != "" {
		return secret.File(f.SecretFile), nil
	}
	if _, ok := os.LookupEnv(secretVariable); ok {
		return secret.Variable(secretVariable), nil
	}
	if !private {
		return nil, nil
	}
	file := secret.File(filepath.Join(dataDir, "secret"))
	return file, file.Create()
}

// load reads the keys. They are nil if none are given, which only a sandbox may do
// without.
func (f secretFlags) load(ctx context.Context, dataDir string, private bool) (*secret.Keys, error) {
	text, err := f.text(dataDir, private)
	if err != nil || text == nil {
		return nil, err
	}
	if f.KMSKey == "" {
		return secret.Load(ctx, text)
	}
	kek, err := secret.OpenKEK(f.KMSKey)
	if err != nil {
		return nil, err
	}
	return secret.Load(ctx, secret.NewKMS(text, kek, f.KMSKey))
}

var errNoSecretHere = errors.New("no secret key: name the file that holds it with --secret-file, or put the key itself in " + secretVariable)

// fresh makes a key in the form that goes into a file.
func (f secretFlags) fresh() (string, error) {
	key := secret.Generate()
	if f.KMSKey == "" {
		return key, nil
	}
	kek, err := secret.OpenKEK(f.KMSKey)
	if err != nil {
		return "", err
	}
	word, err := secret.Wrap(kek, key)
	if err != nil {
		return "", fmt.Errorf("have %s encrypt a key: %w", f.KMSKey, err)
	}
	return word, nil
}

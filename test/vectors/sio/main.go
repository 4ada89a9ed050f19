// Command sio shows that github.com/minio/sio, an implementation of DARE 2.0 by others, and the
// part streams and end records of docs/format.md are one format.
//
//	sio check DIR                  compares with DIR/part-streams.json and DIR/end-records.json
//	sio decrypt KEY <part >plain   reads one part stream (KEY: the part key in hex)
//	sio encrypt KEY <plain >part   writes one, under a random nonce
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/minio/sio"
)

func configOf(key []byte, nonce []byte) (sio.Config, error) {
	config := sio.Config{
		MinVersion:   sio.Version20,
		MaxVersion:   sio.Version20,
		CipherSuites: []byte{sio.AES_256_GCM},
		Key:          key,
	}
	if nonce != nil {
		if len(nonce) != 12 {
			return config, errors.New("a nonce has 12 bytes")
		}
		config.Nonce = (*[12]byte)(nonce)
	}
	return config, nil
}

func encrypt(src io.Reader, key, nonce []byte) (io.Reader, error) {
	config, err := configOf(key, nonce)
	if err != nil {
		return nil, err
	}
	return sio.EncryptReader(src, config)
}

func decrypt(src io.Reader, key []byte) (io.Reader, error) {
	config, err := configOf(key, nil)
	if err != nil {
		return nil, err
	}
	return sio.DecryptReader(src, config)
}

type partStream struct {
	Name, Key, Nonce, Seed string
	X                      int    `json:"x"`
	StoredSHA256           string `json:"stored_sha256"`
}

type endRecord struct {
	Name, DEK, Payload, Stored string
}

// read parses the list "valid" of a vector file.
func read[T any](path string) ([]T, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct{ Valid []T }
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	if len(file.Valid) == 0 {
		return nil, fmt.Errorf("%s: no valid vectors", path)
	}
	return file.Valid, nil
}

// same encrypts and decrypts with sio and returns the stored bytes.
func same(key, nonce, plaintext []byte) ([]byte, error) {
	encrypted, err := encrypt(bytes.NewReader(plaintext), key, nonce)
	if err != nil {
		return nil, err
	}
	stored, err := io.ReadAll(encrypted)
	if err != nil {
		return nil, err
	}
	decrypted, err := decrypt(bytes.NewReader(stored), key)
	if err != nil {
		return nil, err
	}
	back, err := io.ReadAll(decrypted)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(back, plaintext) {
		return nil, errors.New("sio reads another plaintext")
	}
	return stored, nil
}

func checkPart(part partStream) error {
	key, err := hex.DecodeString(part.Key)
	if err != nil {
		return err
	}
	nonce, err := hex.DecodeString(part.Nonce)
	if err != nil {
		return err
	}
	stored, err := same(key, nonce, sha3.SumSHAKE256([]byte(part.Seed), part.X))
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(stored); hex.EncodeToString(sum[:]) != part.StoredSHA256 {
		return errors.New("sio writes other bytes")
	}
	return nil
}

func expand(key []byte, label string, payload []byte, size int) []byte {
	mac := hmac.New(sha512.New, key)
	mac.Write([]byte("nebulaio/v1/" + label + "\x00"))
	mac.Write(payload)
	mac.Write([]byte{1})
	return mac.Sum(nil)[:size]
}

func checkRecord(record endRecord) error {
	dek, err := hex.DecodeString(record.DEK)
	if err != nil {
		return err
	}
	payload, err := hex.DecodeString(record.Payload)
	if err != nil {
		return err
	}
	nonce := expand(dek, "end-nonce", payload, 12)
	nonce[0] &= 0x7f
	stored, err := same(expand(dek, "end", nil, 32), nonce, payload)
	if err != nil {
		return err
	}
	if hex.EncodeToString(stored) != record.Stored {
		return errors.New("sio writes other bytes")
	}
	return nil
}

func check(dir string) error {
	parts, err := read[partStream](filepath.Join(dir, "part-streams.json"))
	if err != nil {
		return err
	}
	streams := 0
	for _, part := range parts {
		if part.X == 0 {
			continue // no package, so nothing that sio takes for a stream
		}
		streams++
		if err := checkPart(part); err != nil {
			return fmt.Errorf("part stream %q: %w", part.Name, err)
		}
	}
	records, err := read[endRecord](filepath.Join(dir, "end-records.json"))
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := checkRecord(record); err != nil {
			return fmt.Errorf("end record %q: %w", record.Name, err)
		}
	}
	fmt.Printf("sio reads and writes the same bytes: %d part streams, %d end records\n", streams, len(records))
	return nil
}

func pipe(mode, keyHex string) error {
	key, err := hex.DecodeString(keyHex)
	if err != nil {
		return err
	}
	var out io.Reader
	if mode == "decrypt" {
		out, err = decrypt(os.Stdin, key)
	} else {
		out, err = encrypt(os.Stdin, key, nil)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, out)
	return err
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: sio check DIR | sio decrypt KEY | sio encrypt KEY")
	}
	switch arguments[0] {
	case "check":
		return check(arguments[1])
	case "decrypt", "encrypt":
		return pipe(arguments[0], arguments[1])
	}
	return fmt.Errorf("unknown mode %s", arguments[0])
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sio:", err)
		os.Exit(1)
	}
}

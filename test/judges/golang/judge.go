// Judges a bundle with the notes and trees of Go's checksum database, which know nothing of the spine: the checkpoint's
// signature, the inclusions of entry, chain and single events, the root over a whole chain, and how the log grew.
// Prints TAP.
//
//	judge POLICY BUNDLE GROWTH
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type event struct {
	EventHash string `json:"event_hash"`
	Sequence  int64  `json:"sequence"`
}

type chain struct {
	HeadHash       string   `json:"head_hash"`
	Index          int64    `json:"index"`
	OrganizationID string   `json:"organization_id"`
	Proof          []string `json:"proof"`
	Root           string   `json:"root"`
	Size           int64    `json:"size"`
}

type line struct {
	Checkpoint string `json:"checkpoint"`
	Directory  *struct {
		Entry string   `json:"entry"`
		Index int64    `json:"index"`
		Proof []string `json:"proof"`
	} `json:"directory"`
	Chain   *chain `json:"chain"`
	Stretch *struct {
		First int64 `json:"first"`
		Last  int64 `json:"last"`
	} `json:"stretch"`
	Event  *event   `json:"event"`
	Proof  []string `json:"proof"`
	Growth *struct {
		New   string   `json:"new"`
		Old   string   `json:"old"`
		Proof []string `json:"proof"`
	} `json:"growth"`
}

var failed bool

func check(what string, err error) {
	if err != nil {
		failed = true
		fmt.Printf("not ok - go: %s: %v\n", what, err)
		return
	}
	fmt.Printf("ok - go: %s\n", what)
}

func refuses(what string, err error) {
	if err == nil {
		check("refuses "+what, fmt.Errorf("was taken"))
		return
	}
	check("refuses "+what, nil)
}

func must(err error) {
	if err != nil {
		fmt.Printf("not ok - go: %v\n", err)
		os.Exit(1)
	}
}

func fromHex(text string) tlog.Hash {
	var hash tlog.Hash
	bytes, err := hex.DecodeString(text)
	must(err)
	copy(hash[:], bytes)
	return hash
}

func proofOf(texts []string) []tlog.Hash {
	var proof []tlog.Hash
	for _, text := range texts {
		proof = append(proof, fromHex(text))
	}
	return proof
}

// The size and root that a text says.
func tree(text string) (int64, tlog.Hash) {
	lines := strings.Split(text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	return size, root
}

func readLines(file string) []line {
	data, err := os.ReadFile(file)
	must(err)
	var lines []line
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 1<<24)
	for scanner.Scan() {
		var one line
		must(json.Unmarshal(scanner.Bytes(), &one))
		lines = append(lines, one)
	}
	must(scanner.Err())
	return lines
}

func main() {
	policy, err := os.ReadFile(os.Args[1])
	must(err)
	var key string
	for _, one := range strings.Split(string(policy), "\n") {
		if strings.HasPrefix(one, "log ") {
			key = strings.Fields(one)[1]
		}
	}
	verifier, err := note.NewVerifier(key)
	must(err)
	open := func(text string) (*note.Note, error) { return note.Open([]byte(text), note.VerifierList(verifier)) }

	var size, chains int64
	var root, chainsRoot tlog.Hash
	var of *chain
	var stored []tlog.Hash
	var last int64 // of a stretch of a whole chain
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var hashes []tlog.Hash
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	for _, one := range readLines(os.Args[2]) {
		switch {
		case one.Checkpoint != "":
			opened, err := open(one.Checkpoint)
			check("the checkpoint is signed", err)
			must(err)
			size, root = tree(opened.Text)
			_, err = open(strings.Replace(one.Checkpoint, "\n", "x\n", 1))
			refuses("another checkpoint", err)
		case one.Directory != nil:
			leaf := tlog.RecordHash([]byte(one.Directory.Entry))
			check("the entry is in the log", tlog.CheckRecord(proofOf(one.Directory.Proof), size, root, one.Directory.Index, leaf))
			refuses("another entry", tlog.CheckRecord(proofOf(one.Directory.Proof), size, root, one.Directory.Index, tlog.RecordHash(leaf[:])))
			fields := strings.Split(one.Directory.Entry, "\n")
			chains, err = strconv.ParseInt(fields[2], 10, 64)
			must(err)
			chainsRoot, err = tlog.ParseHash(fields[3])
			must(err)
		case one.Chain != nil:
			of = one.Chain
			stored, last = nil, 0
			base := func(hash tlog.Hash) string { return base64.StdEncoding.EncodeToString(hash[:]) }
			leaf := fmt.Sprintf("%s\n%d\n%s\n%s\n", of.OrganizationID, of.Size, base(fromHex(of.Root)), base(fromHex(of.HeadHash)))
			check(fmt.Sprintf("chain %d is in the tree of chains", of.Index),
				tlog.CheckRecord(proofOf(of.Proof), chains, chainsRoot, of.Index, tlog.RecordHash([]byte(leaf))))
		case one.Stretch != nil:
			if one.Stretch.First == 1 && one.Stretch.Last == of.Size {
				last = of.Size
			}
		case one.Event != nil:
			hash := fromHex(one.Event.EventHash)
			if one.Proof != nil {
				what := fmt.Sprintf("event %d is in the chain", one.Event.Sequence)
				check(what, tlog.CheckRecord(proofOf(one.Proof), of.Size, fromHex(of.Root), one.Event.Sequence-1, tlog.RecordHash(hash[:])))
				refuses("another event", tlog.CheckRecord(proofOf(one.Proof), of.Size, fromHex(of.Root), one.Event.Sequence-1, hash))
				break
			}
			if last == 0 {
				break
			}
			hashes, err := tlog.StoredHashes(one.Event.Sequence-1, hash[:], reader)
			must(err)
			stored = append(stored, hashes...)
			if one.Event.Sequence == last {
				whole, err := tlog.TreeHash(last, reader)
				if err == nil && whole != fromHex(of.Root) {
					err = fmt.Errorf("another root")
				}
				check("the root over a whole chain", err)
			}
		}
	}

	growth := readLines(os.Args[3])[0].Growth
	older, err := open(growth.Old)
	check("the older checkpoint is signed", err)
	must(err)
	newer, err := open(growth.New)
	check("the newer checkpoint is signed", err)
	must(err)
	oldSize, oldRoot := tree(older.Text)
	newSize, newRoot := tree(newer.Text)
	check("the log grew", tlog.CheckTree(proofOf(growth.Proof), newSize, newRoot, oldSize, oldRoot))
	refuses("another past of the log", tlog.CheckTree(proofOf(growth.Proof), newSize, newRoot, oldSize, tlog.RecordHash(oldRoot[:])))
	if failed {
		os.Exit(1)
	}
}

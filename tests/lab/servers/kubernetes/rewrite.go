package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// object is one line of rewrite's input: what to store under a key that is still at this revision.
type object struct {
	Key      string          `json:"key"`
	Revision int64           `json:"revision"`
	Value    json.RawMessage `json:"value"`
}

// rewrite stores objects below the API server, which does not let anybody set a creation time. It prints the keys
// of those that somebody changed since the given revision: these are left alone, to be read and written anew.
func rewrite(args []string, input io.Reader, output io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: k8slab rewrite http://127.0.0.1:PORT <objects.jsonl")
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: args, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for lines := json.NewDecoder(input); lines.More(); {
		var o object
		if err := lines.Decode(&o); err != nil {
			return err
		}
		unchanged := clientv3.Compare(clientv3.ModRevision(o.Key), "=", o.Revision)
		done, err := client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(o.Key, string(o.Value))).Commit()
		if err != nil {
			return fmt.Errorf("%s: %w", o.Key, err)
		}
		if !done.Succeeded {
			fmt.Fprintln(output, o.Key)
		}
	}
	return nil
}

// Command backfill makes TSDB blocks of past samples, which Prometheus 2 and 3 read. Its argument is Prometheus' data
// directory. Its input is, for each block, a line of JSON that names the series, and then of each series, in the same
// order, the times in milliseconds (int64) and the values (float64), little-endian.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/prometheus/model/labels"
)

// series is what the block has of one.
type series struct {
	Labels  labels.Labels `json:"labels"`
	Samples int           `json:"samples"`
	times   []int64
	values  []float64
}

func main() {
	if err := run(os.Args[1:], bufio.NewReaderSize(os.Stdin, 1<<20)); err != nil {
		fmt.Fprintln(os.Stderr, "backfill:", err)
		os.Exit(2)
	}
}

func run(args []string, input *bufio.Reader) error {
	if len(args) != 1 {
		return errors.New("usage: backfill DATA-DIRECTORY <blocks")
	}
	for {
		block, err := read(input)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the input is not what it should be: %w", err)
		}
		if err := write(args[0], block); err != nil {
			return err
		}
	}
}

// read returns the next block, and io.EOF after the last one.
func read(input *bufio.Reader) ([]series, error) {
	line, err := input.ReadBytes('\n')
	if err != nil && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	var block []series
	if err := json.Unmarshal(line, &block); err != nil {
		return nil, err
	}
	for n := range block {
		one := &block[n]
		one.times, one.values = make([]int64, one.Samples), make([]float64, one.Samples)
		for _, numbers := range []any{one.times, one.values} {
			if err := binary.Read(input, binary.LittleEndian, numbers); err != nil {
				return nil, fmt.Errorf("too few samples of %s", one.Labels)
			}
		}
	}
	return block, nil
}

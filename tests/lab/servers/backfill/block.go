package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

const (
	samplesPerChunk = 120                 // as Prometheus itself cuts them
	unfinished      = ".tmp-for-creation" // Prometheus removes what was left under such a name
)

// write makes one block, which gets its name when it is whole.
func write(directory string, block []series) error {
	slices.SortFunc(block, func(a, b series) int { return labels.Compare(a.Labels, b.Labels) })
	name, err := ulid.New(ulid.Now(), rand.Reader)
	if err != nil {
		return err
	}
	folder := filepath.Join(directory, name.String())
	meta := tsdb.BlockMeta{ULID: name, Version: 1}
	meta.Compaction = tsdb.BlockMetaCompaction{Level: 1, Sources: []ulid.ULID{name}}
	if err := fill(folder+unfinished, block, &meta); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", folder, err), os.RemoveAll(folder+unfinished))
	}
	return os.Rename(folder+unfinished, folder)
}

// fill writes the files of a block, and into its meta what they hold.
func fill(folder string, block []series, meta *tsdb.BlockMeta) error {
	data, err := chunks.NewWriter(filepath.Join(folder, "chunks"))
	if err != nil {
		return err
	}
	names, err := index.NewWriter(context.Background(), filepath.Join(folder, "index"))
	if err != nil {
		return err
	}
	for _, symbol := range symbols(block) {
		if err := names.AddSymbol(symbol); err != nil {
			return err
		}
	}
	for n, one := range block {
		pieces, err := cut(one)
		if err != nil {
			return err
		}
		if err := data.WriteChunks(pieces...); err != nil {
			return err
		}
		if err := names.AddSeries(storage.SeriesRef(n), one.Labels, pieces...); err != nil {
			return err
		}
		count(meta, pieces)
	}
	text, err := json.Marshal(meta)
	return errors.Join(err, data.Close(), names.Close(), os.WriteFile(filepath.Join(folder, "meta.json"), text, 0o666))
}

// symbols are all names and values of labels, once each and in order, as an index begins.
func symbols(block []series) []string {
	found := map[string]struct{}{}
	for _, one := range block {
		one.Labels.Range(func(label labels.Label) {
			found[label.Name], found[label.Value] = struct{}{}, struct{}{}
		})
	}
	return slices.Sorted(maps.Keys(found))
}

// cut compresses the samples of a series into chunks.
func cut(one series) ([]chunks.Meta, error) {
	var pieces []chunks.Meta
	for begin := 0; begin < len(one.times); begin += samplesPerChunk {
		end := min(begin+samplesPerChunk, len(one.times))
		chunk := chunkenc.NewXORChunk()
		samples, err := chunk.Appender()
		if err != nil {
			return nil, err
		}
		for n := begin; n < end; n++ {
			samples.Append(0, one.times[n], one.values[n])
		}
		pieces = append(pieces, chunks.Meta{Chunk: chunk, MinTime: one.times[begin], MaxTime: one.times[end-1]})
	}
	return pieces, nil
}

// count adds one series.
func count(meta *tsdb.BlockMeta, pieces []chunks.Meta) {
	first := meta.Stats.NumSeries == 0
	meta.Stats.NumSeries++
	for _, piece := range pieces {
		meta.Stats.NumChunks++
		meta.Stats.NumSamples += uint64(piece.Chunk.NumSamples())
		if first || piece.MinTime < meta.MinTime {
			meta.MinTime = piece.MinTime
		}
		meta.MaxTime = max(meta.MaxTime, piece.MaxTime+1) // MaxTime is the first moment after the block
	}
}

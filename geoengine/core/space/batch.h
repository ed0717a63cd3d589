/* A batch of positions: found by the marks and buckets of a grid, and measured some at a time. */

#ifndef GEOENGINE_BATCH_H
#define GEOENGINE_BATCH_H

#include <stdlib.h>

#include "measure.h"

#define CHUNK 256     /* positions of which the marks are asked for before their entries are */
#define BLOCK 16      /* rows whose waits for memory overlap; more gain nothing */
#define SEVERAL 0xFF  /* these three as in tables.py */
#define PRINT_SHIFT 24
#define ROW_FACTOR 0x9E3779B1u

/* Ask the memory for the boxes of the leaves that cells list. */
static void fetch(const Tables *own, const int32_t *cells, int count)
{
    for (int row = 0; row < count; row++) {
        const int32_t *cell = own->cells + cells[row];
        if (cells[row] < 0)
            continue;
        for (const int32_t *run = cell + 2; run < cell + 2 + 2 * cell[1]; run += 2)
            for (int32_t leaf = 0; leaf < run[1] + 3; leaf += 4)
                __builtin_prefetch(&own->leaf_boxes[run[0] + leaf]);
    }
}

/* Rows of an answer, that grow: position, polygon or entry of the grid, how far its edge is. */
typedef struct {
    ptrdiff_t count, room;
    int64_t *fix;
    int32_t *ix;
    double *edge_m;
} Found;

static int add(Found *to, int64_t fix, int32_t ix, double edge_m)
{
    if (to->count == to->room) {
        ptrdiff_t room = to->room ? 4 * to->room : 64;
        int64_t *fixes = realloc(to->fix, 8 * room);
        to->fix = fixes ? fixes : to->fix;
        int32_t *numbers = realloc(to->ix, 4 * room);
        to->ix = numbers ? numbers : to->ix;
        double *edges_m = realloc(to->edge_m, 8 * room);
        to->edge_m = edges_m ? edges_m : to->edge_m;
        if (!fixes || !numbers || !edges_m)
            return -1;
        to->room = room;
    }
    to->fix[to->count] = fix;
    to->ix[to->count] = ix;
    to->edge_m[to->count++] = edge_m;
    return 0;
}

static void forget(Found *found)
{
    free(found->fix);
    free(found->ix);
    free(found->edge_m);
}

/* A batch of positions, and the entries of the grid that are to be measured next. */
typedef struct {
    const Tables *own;
    const double *lon, *lat;
    int waiting;
    int64_t fix[BLOCK];
    int32_t entry[BLOCK], ix[BLOCK], cell[BLOCK];
    Found inside, unsure; /* of the latter the entries */
} Batch;

static int measure_waiting(Batch *batch)
{
    const Tables *own = batch->own;
    int count = batch->waiting;
    Measure measures[BLOCK];
    batch->waiting = 0;
    fetch(own, batch->cell, count);
    for (int nth = 0; nth < count; nth++)
        begin(own, batch->ix[nth], batch->lon[batch->fix[nth]], batch->lat[batch->fix[nth]],
              batch->cell[nth], 1, &measures[nth]);
    for (int nth = 0; nth < count; nth++) {
        double edge_m = finish(own, batch->ix[nth], 1, &measures[nth]);
        if (edge_m <= 0.0 && add(&batch->inside, batch->fix[nth], batch->ix[nth], edge_m) < 0)
            return -1;
        if (isnan(edge_m) && add(&batch->unsure, batch->fix[nth], batch->entry[nth], edge_m) < 0)
            return -1;
    }
    return 0;
}

static int take_up(Batch *batch, int64_t fix, int32_t entry)
{
    const Tables *own = batch->own;
    int32_t ix = own->items[entry], cell = own->item_cells[entry];
    int nth = batch->waiting++;
    batch->fix[nth] = fix;
    batch->entry[nth] = entry;
    batch->ix[nth] = ix;
    batch->cell[nth] = cell;
    __builtin_prefetch(&own->planes[ix]);
    if (cell >= 0)
        __builtin_prefetch(own->cells + cell);
    return batch->waiting == BLOCK ? measure_waiting(batch) : 0;
}

typedef struct { uint32_t place; uint16_t nth, level; } Hit;

/* The marked cells of a level among those of some positions. No branch: half of them would go the
   unexpected way. */
INLINED int find_marked(const Tables *own, const uint32_t *column, const uint32_t *row, int count,
                        uint16_t level, Hit *hits)
{
    const Level *at = &own->levels[level];
    uint32_t print[CHUNK], place[CHUNK], factor = (uint32_t)at->row_factor;
    uint32_t mask = (uint32_t)at->mask, offset = (uint32_t)at->offset;
    int shift = (int)at->shift, wide = shift + own->marks_coarser, found = 0;
    for (int nth = 0; nth < count; nth++) {
        print[nth] = (row[nth] >> wide) * factor + (column[nth] >> wide);
        place[nth] = (((row[nth] >> shift) * ROW_FACTOR + (column[nth] >> shift)) & mask) + offset;
    }
    for (int nth = 0; nth < count; nth++) {
        uint8_t mark = own->marks[print[nth] & own->mark_mask];
        uint8_t is_own = mark == (uint8_t)(print[nth] >> PRINT_SHIFT);
        hits[found] = (Hit){place[nth], (uint16_t)nth, level};
        found += (mark != 0) & (is_own | (mark == SEVERAL));
    }
    return found;
}

/* Every position with every polygon of its cells, up to CHUNK of them from the nth on. */
CLONED static int match_some(Batch *batch, ptrdiff_t from, int count)
{
    const Tables *own = batch->own;
    uint32_t column[CHUNK], row[CHUNK];
    Hit hits[CHUNK * LEVELS_MAX + 1];
    int hit_count = 0;
    for (int nth = 0; nth < count; nth++) {
        column[nth] = (uint32_t)(int32_t)((batch->lon[from + nth] + 180.0) * own->per_deg);
        row[nth] = (uint32_t)(int32_t)((batch->lat[from + nth] + 90.0) * own->per_deg);
    }
    for (int level = 0; level < own->level_count; level++)
        hit_count += find_marked(own, column, row, count, (uint16_t)level, hits + hit_count);
    for (const Hit *hit = hits; hit < hits + hit_count; hit++)
        __builtin_prefetch(&own->start[hit->place]);
    int kept = 0; /* of those, the ones in whose place there is something */
    for (const Hit *hit = hits; hit < hits + hit_count; hit++) {
        int32_t begin = own->start[hit->place], end = own->start[hit->place + 1];
        hits[kept] = *hit;
        kept += begin < end;
    }
    for (const Hit *hit = hits; hit < hits + kept; hit++) {
        int32_t entry = own->start[hit->place];
        __builtin_prefetch(&own->keys[entry]);
        __builtin_prefetch(&own->items[entry]);
        __builtin_prefetch(&own->item_cells[entry]);
    }
    for (const Hit *hit = hits; hit < hits + kept; hit++) {
        const Level *at = &own->levels[hit->level];
        int64_t up = row[hit->nth] >> at->shift, along = column[hit->nth] >> at->shift;
        int64_t key = at->bits << 56 | up << 28 | along;
        int32_t end = own->start[hit->place + 1];
        for (int32_t entry = own->start[hit->place]; entry < end; entry++)
            if (own->keys[entry] == key && take_up(batch, from + hit->nth, entry) < 0)
                return -1;
    }
    return 0;
}

static int match_all(Batch *batch, ptrdiff_t count)
{
    for (ptrdiff_t from = 0; from < count; from += CHUNK)
        if (match_some(batch, from, count - from < CHUNK ? (int)(count - from) : CHUNK) < 0)
            return -1;
    return measure_waiting(batch);
}

#endif

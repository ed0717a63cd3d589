/* Whether tables hold what they may: once checked, no look into them leads out of them.

   Tables are made by `edges.py` and `tables.py`, or were and come from a file. What is wrong inside
   their bounds gives wrong answers, and is not found here. */

#ifndef GEOENGINE_CHECKS_H
#define GEOENGINE_CHECKS_H

#include "edges.h"

#define BITS_MAX 24 /* of cells, as in levels.py */
#define AHEAD 16    /* entries: so long before one is looked at its cell is asked for */

/* Every polygon has leaves of its own, after those of the one before it, and as many branches as
   these need. What is wrong, or NULL. */
static const char *fault_of_leaves(const Tables *own, int64_t leaves, int64_t branches)
{
    const int32_t *leaf = own->first_leaf, *branch = own->first_branch;
    ptrdiff_t last = own->polygon_count;
    if (leaf[0] != 0 || branch[0] != 0 || leaf[last] != leaves || branch[last] != branches)
        return "leaves or branches that are no polygon's";
    for (ptrdiff_t ix = 0; ix < last; ix++) {
        int64_t count = (int64_t)leaf[ix + 1] - leaf[ix];
        if (count < 1 || (int64_t)branch[ix + 1] - branch[ix] != (count + FAN - 1) / FAN)
            return "a polygon without edges, or with those of another";
    }
    return NULL;
}

/* Whether a cell lies in the table of cells, and its leaves are its polygon's. */
static int is_cell_of(const Tables *own, int32_t ix, int32_t at)
{
    if (at > own->cells_end - 2)
        return 0;
    const int32_t *cell = own->cells + at;
    if (cell[1] < 0 || cell[1] > RUNS_MAX || at + 2 + 2 * cell[1] > own->cells_end)
        return 0;
    for (const int32_t *run = cell + 2; run < cell + 2 + 2 * cell[1]; run += 2)
        if (run[0] < own->first_leaf[ix] || run[1] < 1 ||
            run[1] > own->first_leaf[ix + 1] - run[0])
            return 0;
    return 1;
}

/* Of a grid: levels one after the other, the finest first; runs of entries likewise; of each entry
   the polygon, and a cell of its or none. What is wrong, or NULL. */
static const char *fault_of_grid(const Tables *own, ptrdiff_t starts, ptrdiff_t entries)
{
    int64_t places = 0;
    for (const Level *at = own->levels; at < own->levels + own->level_count; at++) {
        if (at->shift < 0 || at->shift > BITS_MAX || at->offset != places || at->mask < 0 ||
            at->mask > starts - 2 - places)
            return "levels of other places";
        places += at->mask + 1;
    }
    const int32_t *start = own->start;
    if (places != starts - 1 || start[0] != 0 || start[places] != entries)
        return "levels of other places";
    int is_ascending = 1;
    for (int64_t place = 0; place < places; place++)
        is_ascending &= start[place] <= start[place + 1];
    if (!is_ascending)
        return "places that do not follow each other";
    for (ptrdiff_t entry = 0; entry < entries; entry++) {
        int32_t ix = own->items[entry], cell = own->item_cells[entry];
        if (entry + AHEAD < entries && own->item_cells[entry + AHEAD] >= 0)
            __builtin_prefetch(own->cells + own->item_cells[entry + AHEAD]);
        if (ix < 0 || ix >= own->polygon_count)
            return "an entry of no polygon";
        if (cell >= 0 && !is_cell_of(own, ix, cell))
            return "a cell with leaves that are not its polygon's";
    }
    return NULL;
}

#endif

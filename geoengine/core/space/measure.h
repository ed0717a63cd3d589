/* How deep inside a polygon a position is, by the edges that its cell lists. */

#ifndef GEOENGINE_MEASURE_H
#define GEOENGINE_MEASURE_H

#include <string.h>

#include "edges.h"

/* Twice the area of a triangle, 0 if rounding could turn its sign. */
static double turn_of(double ax, double ay, double bx, double by, double x, double y)
{
    double left = (bx - ax) * (y - ay), right = (by - ay) * (x - ax), turn = left - right;
    return fabs(turn) <= TURN_ERROR * (fabs(left) + fabs(right)) ? 0.0 : turn;
}

/* Crossings of a leaf's edges with the way between a position and the middle of its cell, odd or
   even; -1 if rounding could turn one. */
INLINED int crossings_to(const Leaf *leaf, double x, double y, double mid_x, double mid_y)
{
    int64_t is_left[LEAF + 1], unsure = 0, odd = 0;
    for (int nth = 0; nth <= LEAF; nth++) {
        double left = (mid_x - x) * (leaf->points[nth].lat - y);
        double right = (mid_y - y) * (leaf->points[nth].lon - x), turn = left - right;
        unsure |= fabs(turn) <= TURN_ERROR * (fabs(left) + fabs(right));
        is_left[nth] = turn > 0;
    }
    if (unsure)
        return -1;
    for (int nth = 0; nth < LEAF; nth++) {
        const Point *a = &leaf->points[nth], *b = a + 1;
        if (is_left[nth] == is_left[nth + 1])
            continue;
        double here = turn_of(a->lon, a->lat, b->lon, b->lat, x, y);
        double there = turn_of(a->lon, a->lat, b->lon, b->lat, mid_x, mid_y);
        if (here == 0.0 || there == 0.0)
            return -1;
        odd ^= (here > 0) != (there > 0);
    }
    return (int)odd;
}

/* Whether a position is inside, by the edges between it and the middle of its cell; -1 if unsure.
   All of these are in the cell's own runs. */
INLINED int holds_by_cell(const Tables *own, const int32_t *cell, double x, double y,
                          double mid_x, double mid_y)
{
    int odd = cell[0] == MIDDLE_IN;
    double west = x < mid_x ? x : mid_x, east = larger(x, mid_x);
    double south = y < mid_y ? y : mid_y, north = larger(y, mid_y);
    const int32_t *end = cell + 2 + 2 * cell[1];
    for (const int32_t *run = cell + 2; run < end; run += 2) {
        for (int32_t leaf = run[0]; leaf < run[0] + run[1]; leaf++) {
            const Box *box = &own->leaf_boxes[leaf];
            if ((box->west > east) | (box->east < west) | (box->south > north) |
                (box->north < south))
                continue;
            int crossed = crossings_to(&own->leaves[leaf], x, y, mid_x, mid_y);
            if (crossed < 0)
                return -1;
            odd ^= crossed;
        }
    }
    return odd;
}

INLINED int holds_in(const Tables *own, int32_t ix, const int32_t *cell, double lon, double x,
                     double y)
{
    int is_in = -1;
    if (cell && cell[0] == INNER)
        return 1;
    if (cell && cell[0] != MIDDLE_UNSURE && cell[1]) {
        /* The same cell, by the same arithmetic, that the grid found for this position. */
        double per_deg = own->planes[ix].per_deg;
        double mid_x = ((int64_t)((lon + 180.0) * per_deg) + 0.5) / per_deg - 180.0 + (x - lon);
        double mid_y = ((int64_t)((y + 90.0) * per_deg) + 0.5) / per_deg - 90.0;
        is_in = holds_by_cell(own, cell, x, y, mid_x, mid_y);
    }
    return is_in < 0 ? holds(own, ix, x, y) : is_in;
}

/* A measure taken in two steps, between which the nearest leaf is on its way from memory. */
typedef struct {
    Search at;
    int is_in, count; /* leaves of the cell */
    int nearest, next; /* of these */
    double far2[LEAVES_MAX];
    int32_t leaves[LEAVES_MAX];
} Measure;

static void ask_for(const Leaf *leaf)
{
    __builtin_prefetch(&leaf->points[0]);
    __builtin_prefetch(&leaf->points[4]);
}

/* Two leaves are likely opened, the nearest box's and the next: ask the memory for both. */
INLINED void look_at_boxes(const Tables *own, const int32_t *cell, Measure *measure)
{
    int count = 0;
    const int32_t *end = cell + 2 + 2 * cell[1];
    for (const int32_t *run = cell + 2; run < end && count + run[1] <= LEAVES_MAX; run += 2) {
        const Box *boxes = &own->leaf_boxes[run[0]];
        for (int nth = 0; nth < run[1]; nth++) {
            measure->far2[count + nth] = apart2(&measure->at, &boxes[nth]);
            measure->leaves[count + nth] = run[0] + nth;
        }
        count += run[1];
    }
    measure->count = count;
    /* A number of 64 in the last bits of a square does not matter to which is likely nearest. */
    uint64_t least = UINT64_MAX, next = UINT64_MAX;
    for (int nth = 0; nth < count; nth++) {
        uint64_t far;
        memcpy(&far, &measure->far2[nth], 8);
        far = (far & ~(uint64_t)(LEAVES_MAX - 1)) | (uint64_t)nth;
        uint64_t farther = far > least ? far : least;
        next = farther < next ? farther : next;
        least = far < least ? far : least;
    }
    measure->nearest = (int)(least % LEAVES_MAX);
    measure->next = count > 1 ? (int)(next % LEAVES_MAX) : measure->nearest;
    if (count) {
        ask_for(&own->leaves[measure->leaves[measure->nearest]]);
        ask_for(&own->leaves[measure->leaves[measure->next]]);
    }
}

CLONED static void begin(const Tables *own, int32_t ix, double lon, double lat, int32_t cell_ix,
                         int is_inside_only, Measure *measure)
{
    const Plane *plane = &own->planes[ix];
    const int32_t *cell = cell_ix < 0 ? NULL : own->cells + cell_ix;
    double x = lon - 360.0 * rint((lon - plane->middle_deg) / 360.0);
    measure->at = (Search){x, lat, plane->squeeze, INFINITY, 0.0, 0.0};
    measure->count = 0;
    measure->is_in = fabs(lat) > TOO_FAR_NORTH_DEG ? -1 : holds_in(own, ix, cell, lon, x, lat);
    if (cell && (measure->is_in > 0 || !is_inside_only))
        look_at_boxes(own, cell, measure);
}

/* Signed distance to the edge, NaN if unsure. By a cell or not, the same edge is nearest. Infinite,
   and not looked for, outside, if only the inside matters. */
CLONED static double finish(const Tables *own, int32_t ix, int is_inside_only, Measure *measure)
{
    Search *at = &measure->at;
    if (measure->is_in < 0)
        return NAN;
    if (!measure->is_in && is_inside_only)
        return INFINITY;
    if (!measure->count)
        find_nearest(own, ix, at);
    for (int nth = -1; nth < measure->count; nth++) {
        int one = nth < 0 ? measure->nearest : nth;
        if (nth != measure->nearest && measure->count && measure->far2[one] < at->best2)
            look_along(at, &own->leaves[measure->leaves[one]]);
    }
    double far_m = metres(&own->planes[ix], at->y + at->near_y / 2, at->near_x / at->squeeze,
                          at->near_y);
    if (!(at->best2 > TOO_NEAR_DEG2) || far_m > TOO_FAR_M)
        return NAN;
    return measure->is_in ? -far_m : far_m;
}

#endif

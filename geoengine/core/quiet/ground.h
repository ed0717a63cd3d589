/* The zones of a Book, as the pass over a batch reads them: what holds a fix, what a way cuts.

   There is no exact geometry here: whatever comes near an edge, or near anything but a circle, is
   for the index to decide. */

#ifndef GEOENGINE_GROUND_H
#define GEOENGINE_GROUND_H

#include <math.h>
#include <stdint.h>

#define ROW_FACTOR ((int64_t)0x9E3779B1) /* space/tables.py */
#define SEVERAL 0xFF
#define PRINT_SHIFT 24
#define NEAR_Q 1.0004 /* space/near.py: squared relative distance beyond which a fix is outside */
#define FAR_DEG2 100.0
#define EDGE_ERROR_M 0.001 /* space/geodesy.py: nearer an edge the geodesic decides */
#define SHORT_DEG 0.1      /* space/ways.py: a way up to this long is asked about by itself */
#define POLAR_DEG 85.0
#define SAGITTA_PER_DEG2 (3.141592653589793 / 180 / 16 * 1.05)
#define PAD_DEG 1e-9
#define CELLS_MAX 256 /* a way through more of them is left */
#define PAIRS_MAX 16  /* as is a fix in more zones */

typedef struct { int64_t shift, row_factor, mask, offset; } Level; /* as __init__.py packs them */

typedef struct {
    double per_deg;
    int64_t coarser, marks_coarser, mark_mask;
    int64_t level_count;
    const Level *levels;
    const uint8_t *marks;
    const int32_t *start, *items;
} Grid;

typedef struct { double confirm_enter_z, confirm_leave_z, buffer_m, buffer_per_accuracy; } Policy;
typedef struct { double lon, lat, a0, a1, b0, b1, b2, e0; } Circle; /* near.py */

typedef struct {
    Grid near;    /* near circles */
    Grid wary[2]; /* whatever has to be measured otherwise: fixes and ways near it are left */
    const Circle *circles;
    int64_t circle_count; /* less the twins over the antimeridian */
    const int32_t *twin_of, *zone_of, *policy_of; /* policy_of by zone */
    const double *radius_m;
    const int64_t *prints; /* by zone */
    const Policy *policies;
    int64_t silence_ms, cross_gap_ms, fresh_min_ms, fresh_max_ms;
    double cross_m;
} Ground;

typedef struct { double lon, lat, accuracy_m; int64_t at_ms, recv_ms; } Fix;
typedef struct { int32_t zone; double edge_m, radius_m; } Pair;

static inline int64_t place_of(const Level *level, int64_t column, int64_t row)
{
    return ((row * ROW_FACTOR + column) & level->mask) + level->offset;
}

/* Whether anything touches a cell of the size that marks are of. */
static inline int is_marked(const Grid *grid, const Level *level, int64_t column, int64_t row)
{
    int64_t print = row * level->row_factor + column;
    uint8_t mark = grid->marks[print & grid->mark_mask];
    return mark && (mark == SEVERAL || mark == (uint8_t)(print >> PRINT_SHIFT));
}

/* Whether anything that is not a near circle might hold the fix. */
static int is_wary_of_fix(const Grid *grid, const Fix *fix)
{
    int64_t column = (int64_t)((fix->lon + 180.0) * grid->per_deg);
    int64_t row = (int64_t)((fix->lat + 90.0) * grid->per_deg);
    for (int64_t nth = 0; nth < grid->level_count; nth++) {
        const Level *level = &grid->levels[nth];
        int64_t by = level->shift + grid->marks_coarser;
        if (is_marked(grid, level, column >> by, row >> by))
            return 1;
    }
    return 0;
}

/* The near circles that hold the fix; -1 where that is not sure. */
static int pairs_of(const Ground *ground, const Fix *fix, Pair *pairs)
{
    const Grid *grid = &ground->near;
    int count = 0;
    int64_t column0 = (int64_t)((fix->lon + 180.0) * grid->per_deg);
    int64_t row0 = (int64_t)((fix->lat + 90.0) * grid->per_deg);
    for (int64_t nth = 0; nth < grid->level_count; nth++) {
        const Level *level = &grid->levels[nth];
        int64_t column = column0 >> level->shift, row = row0 >> level->shift;
        if (!is_marked(grid, level, column >> grid->marks_coarser, row >> grid->marks_coarser))
            continue;
        int64_t place = place_of(level, column >> grid->coarser, row >> grid->coarser);
        for (int32_t at = grid->start[place]; at < grid->start[place + 1]; at++) {
            int32_t item = grid->items[at];
            const Circle *c = &ground->circles[item];
            double north = fix->lat - c->lat, east2 = (fix->lon - c->lon) * (fix->lon - c->lon);
            double q = north * north * (c->a0 + c->a1 * north);
            if (q > NEAR_Q || east2 > FAR_DEG2)
                continue;
            q += fabs(east2 * (c->b0 + north * (c->b1 + c->b2 * north) + c->e0 * east2));
            if (q > NEAR_Q)
                continue;
            if (item >= ground->circle_count)
                item = ground->twin_of[item - ground->circle_count];
            double radius_m = ground->radius_m[item], edge_m = (sqrt(q) - 1.0) * radius_m;
            if (edge_m >= -2 * EDGE_ERROR_M || count == PAIRS_MAX)
                return -1;
            pairs[count++] = (Pair){ground->zone_of[item], edge_m, radius_m};
        }
    }
    return count;
}

/* Whether a way might cut a near circle with both ends outside: `plane._may_cut_one`. */
static int may_cut(const Circle *c, double x, double y, double dx, double dy)
{
    double scaled_x = c->b0 * x, scaled_y = c->a0 * y;
    double first2 = scaled_x * x + scaled_y * y;
    double length2 = c->b0 * dx * dx + c->a0 * dy * dy;
    if (first2 > (length2 + 1.0) * 3.0)
        return 0;
    double away = scaled_x * dx + scaled_y * dy, last2 = first2 + away + away + length2;
    double far2 = fmax(first2, last2), slack = far2 * (0.002 + sqrt(far2 / c->b0) * 0.12);
    return fmin(first2, last2) + slack >= 1.0 && away <= slack && away + length2 + slack >= 0.0 &&
           first2 * length2 - away * away <= (slack + 1.0) * length2;
}

/* Whether a way, with both ends outside, might cut one of the near circles in a cell. */
static int is_cut_at(const Ground *ground, int64_t place, const Fix *from, double dx, double dy)
{
    const Grid *grid = &ground->near;
    for (int32_t at = grid->start[place]; at < grid->start[place + 1]; at++) {
        const Circle *c = &ground->circles[grid->items[at]];
        if (may_cut(c, from->lon - c->lon, from->lat - c->lat, dx, dy))
            return 1;
    }
    return 0;
}

/* Whether a way might cut something in this grid: near circles by bucket, or else whatever is
   marked in one of its cells. */
static int is_cut_in(const Ground *ground, const Grid *grid, const Fix *from, const Fix *to)
{
    double dx = to->lon - from->lon, dy = to->lat - from->lat;
    double pad = dx * dx * SAGITTA_PER_DEG2 + PAD_DEG;
    double west = fmin(from->lon, to->lon) - pad, east = fmax(from->lon, to->lon) + pad;
    double south = fmin(from->lat, to->lat) - pad, north = fmax(from->lat, to->lat) + pad;
    if (!(west >= -180.0 && east < 180.0 && south >= -POLAR_DEG && north <= POLAR_DEG &&
          dx * dx + dy * dy <= SHORT_DEG * SHORT_DEG))
        return 1;
    int is_near = grid == &ground->near;
    for (int64_t nth = 0; nth < grid->level_count; nth++) {
        const Level *level = &grid->levels[nth];
        int64_t by = level->shift + (is_near ? grid->coarser : grid->marks_coarser);
        int64_t column0 = (int64_t)((west + 180.0) * grid->per_deg) >> by;
        int64_t column1 = (int64_t)((east + 180.0) * grid->per_deg) >> by;
        int64_t row0 = (int64_t)((south + 90.0) * grid->per_deg) >> by;
        int64_t row1 = (int64_t)((north + 90.0) * grid->per_deg) >> by;
        if ((column1 - column0 + 1) * (row1 - row0 + 1) > CELLS_MAX)
            return 1;
        for (int64_t row = row0; row <= row1; row++)
            for (int64_t column = column0; column <= column1; column++)
                if (is_near ? is_cut_at(ground, place_of(level, column, row), from, dx, dy)
                            : is_marked(grid, level, column, row))
                    return 1;
    }
    return 0;
}

#endif

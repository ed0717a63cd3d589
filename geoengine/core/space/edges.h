/* The edges of polygons as `_edges.c` reads them: the nearest, and their inner side.

   By leaves and branches alone, whatever cell a position is in; with it, `measure.h` is quicker. */

#ifndef GEOENGINE_EDGES_H
#define GEOENGINE_EDGES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Where processors differ, for those of today as well; products keep their rounding in both. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define CLONED __attribute__((noinline, target_clones("avx2", "default")))
#else
#define CLONED __attribute__((noinline))
#endif
#define INLINED static inline __attribute__((always_inline)) /* into clones, to be as they are */

#define LEAF 7                  /* edges: with their eight points two lines of cache */
#define FAN 8                   /* leaves a branch; edges.py builds them so */
#define DEGREE (3.14159265358979323846 / 180)
#define WGS84_A_M 6378137.0     /* the same numbers as in units.py */
#define WGS84_E2 6.69437999014131705e-3
#define TINY 1e-300             /* degrees squared: an edge without length divides nothing by it */
#define TOO_NEAR_DEG2 1e-22     /* within a micrometre of an edge rounding may take sides */
#define TOO_FAR_M 15000.0       /* beyond it, and beyond this latitude, the geodesic is asked: */
#define TOO_FAR_NORTH_DEG 80.0  /* the mid-latitude formula is off by less than 3 cm until there */
/* Shewchuk's bound on the rounding of an orientation, (3 + 16 eps) eps, rounded up. */
#define TURN_ERROR 3.4e-16
#define PARABOLA_DEG 0.1 /* so far from its middle a parabola is off by 2e-9 at 80 degrees */

typedef struct { double lon, lat; } Point;
typedef struct { Point points[LEAF + 1]; } Leaf; /* short ones repeat their last point */
typedef struct { float west, south, east, north; } Box; /* rounded outwards */
/* Of a polygon: scale of longitude, turn of the globe, cells of its grid per degree; metres per
   degree of latitude and of longitude, as parabolas over the degrees from its middle. */
typedef struct {
    double squeeze, middle_deg, per_deg, middle_lat, along[3], across[3];
} Plane;
typedef struct { int32_t first, leaves; } Run; /* of leaves */
typedef struct { int64_t shift, row_factor, mask, offset, bits; } Level; /* as in tables.py */

/* Kinds of cells: no edge runs through one that is INNER; of others it is known whether their
   middle is inside, unless an edge comes too near it. */
enum { MIDDLE_OUT, MIDDLE_IN, INNER, MIDDLE_UNSURE, OUTER };
#define RUNS_MAX 12       /* a cell that needs more, or so many leaves, looks through branches */
#define LEAVES_MAX 64
#define MARKS_COARSER_MAX 7 /* bits: with those of the coarsest level fewer than 32 */
#define LEVELS_MAX 24     /* of cells of 2 to 24 bits there are 23 */

typedef struct {
    const Leaf *leaves;
    const Box *leaf_boxes, *branch_boxes;
    const int32_t *first_leaf, *first_branch; /* of each polygon, and one past the end */
    const Plane *planes;
    ptrdiff_t polygon_count;
    /* Of each cell of the grid, once known: its kind, how many runs of leaves, and these. A cell's
       number is where it begins. */
    const int32_t *cells;
    ptrdiff_t cells_end;
    /* The grid by which positions find polygons, once known: the tables of grid.py. */
    double per_deg; /* finest cells per degree */
    const Level *levels;
    ptrdiff_t level_count;
    const uint8_t *marks;
    uint32_t mark_mask;
    int marks_coarser; /* bits: cells of marks are larger */
    const int32_t *start, *items, *item_cells;
    const int64_t *keys;
} Tables;

typedef struct { double x, y, squeeze, best2, near_x, near_y; } Search;

static inline double larger(double a, double b) /* fmax asks about NaN, in a call */
{
    return a > b ? a : b;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

static inline double apart2(const Search *at, const Box *box)
{
    double x = larger(larger(box->west - at->x, at->x - box->east), 0.0) * at->squeeze;
    double y = larger(larger(box->south - at->y, at->y - box->north), 0.0);
    return x * x + y * y;
}

/* Columns and no branches, so that a compiler measures several edges at a time: eight, of which the
   last is nothing. */
INLINED void look_along(Search *at, const Leaf *leaf)
{
    double x[LEAF + 2], y[LEAF + 2], near_x[LEAF + 1], near_y[LEAF + 1], far2[LEAF + 1];
    for (int nth = 0; nth <= LEAF; nth++) {
        x[nth] = (leaf->points[nth].lon - at->x) * at->squeeze;
        y[nth] = leaf->points[nth].lat - at->y;
    }
    x[LEAF + 1] = x[LEAF];
    y[LEAF + 1] = y[LEAF];
    for (int nth = 0; nth <= LEAF; nth++) {
        double dx = x[nth + 1] - x[nth], dy = y[nth + 1] - y[nth];
        double share = -(x[nth] * dx + y[nth] * dy) / (dx * dx + dy * dy + TINY);
        share = share > 0.0 ? share : 0.0;
        share = share < 1.0 ? share : 1.0;
        near_x[nth] = x[nth] + share * dx;
        near_y[nth] = y[nth] + share * dy;
        far2[nth] = near_x[nth] * near_x[nth] + near_y[nth] * near_y[nth];
    }
    double least2 = smaller(smaller(smaller(far2[0], far2[1]), smaller(far2[2], far2[3])),
                            smaller(smaller(far2[4], far2[5]), far2[6]));
    if (!(least2 < at->best2))
        return;
    int nth = 0;
    while (far2[nth] != least2)
        nth++;
    at->best2 = least2;
    at->near_x = near_x[nth];
    at->near_y = near_y[nth];
}

/* The nearest of up to FAN boxes, and how far all of them are. */
static int32_t nearest_box(const Search *at, const Box *boxes, int32_t count, double far2[FAN])
{
    int32_t nearest = 0;
    for (int32_t nth = 0; nth < count; nth++) {
        far2[nth] = apart2(at, &boxes[nth]);
        if (far2[nth] < far2[nearest])
            nearest = nth;
    }
    return nearest;
}

static void look_in_branch(const Tables *own, Search *at, int32_t leaf, int32_t count)
{
    double far2[FAN] = {0};
    int32_t first = nearest_box(at, &own->leaf_boxes[leaf], count, far2);
    for (int32_t turn = -1; turn < count; turn++) {
        int32_t nth = turn < 0 ? first : turn;
        if (turn != first && far2[nth] < at->best2)
            look_along(at, &own->leaves[leaf + nth]);
    }
}

static void find_nearest(const Tables *own, int32_t ix, Search *at)
{
    int32_t branches = own->first_branch[ix + 1] - own->first_branch[ix], first = 0;
    int32_t leaf = own->first_leaf[ix], end = own->first_leaf[ix + 1];
    const Box *boxes = &own->branch_boxes[own->first_branch[ix]];
    double least2 = INFINITY;
    for (int32_t nth = 0; nth < branches; nth++) {
        double far2 = apart2(at, &boxes[nth]);
        if (far2 < least2) {
            least2 = far2;
            first = nth;
        }
    }
    for (int32_t turn = -1; turn < branches; turn++) {
        int32_t nth = turn < 0 ? first : turn, from = leaf + FAN * nth;
        if (turn != first && apart2(at, &boxes[nth]) < at->best2)
            look_in_branch(own, at, from, end - from < FAN ? end - from : FAN);
    }
}

/* Whether a position is an end of an edge, or on one that lies along the ray. */
static int is_on(double x, double y, const Point *a, const Point *b)
{
    if (a->lat == y && b->lat == y)
        return (a->lon <= x) != (b->lon <= x) || a->lon == x || b->lon == x;
    return (a->lat == y ? a->lon : b->lon) == x;
}

/* Edges of a leaf that a ray to the east crosses, odd or even; -1 if rounding could turn one. */
static int crossings(double x, double y, const Leaf *leaf)
{
    int odd = 0;
    for (const Point *point = leaf->points; point < leaf->points + LEAF; point++) {
        const Point *a = point, *b = point + 1;
        if ((a->lat == y || b->lat == y) && is_on(x, y, a, b))
            return -1;
        if ((a->lat <= y) == (b->lat <= y))
            continue;
        double left = (a->lon - x) * (b->lat - y), right = (a->lat - y) * (b->lon - x);
        double turn = left - right;
        if (fabs(turn) <= TURN_ERROR * (fabs(left) + fabs(right)))
            return -1;
        odd ^= (turn > 0) == (b->lat > a->lat);
    }
    return odd;
}

static int is_beside(const Box *box, double x, double y)
{
    return box->south <= y && y <= box->north && box->east >= x;
}

/* Whether a polygon holds a position: 1, 0, or -1 if rounding could turn the answer. */
static int holds(const Tables *own, int32_t ix, double x, double y)
{
    int32_t leaf = own->first_leaf[ix], end = own->first_leaf[ix + 1], odd = 0;
    const Box *branch = &own->branch_boxes[own->first_branch[ix]];
    for (; leaf < end; leaf += FAN, branch++) {
        if (!is_beside(branch, x, y))
            continue;
        for (int32_t at = leaf; at < end && at < leaf + FAN; at++) {
            const Box *box = &own->leaf_boxes[at];
            const Point *point = own->leaves[at].points;
            if (!is_beside(box, x, y))
                continue;
            if (box->west > x) {
                odd ^= (point->lat <= y) != (point[LEAF].lat <= y);
                continue;
            }
            int crossed = crossings(x, y, &own->leaves[at]);
            if (crossed < 0)
                return -1;
            odd ^= crossed;
        }
    }
    return odd;
}

/* Metres of a way so many degrees long, by the latitude of its middle: Gauss's formula. */
static inline double metres(const Plane *plane, double lat, double east_deg, double north_deg)
{
    double up = lat - plane->middle_lat, along, across;
    if (fabs(up) <= PARABOLA_DEG) {
        along = plane->along[0] + up * (plane->along[1] + up * plane->along[2]);
        across = plane->across[0] + up * (plane->across[1] + up * plane->across[2]);
    } else {
        double phi = lat * DEGREE, sine = sin(phi);
        double w2 = 1 - WGS84_E2 * sine * sine, w = sqrt(w2);
        along = WGS84_A_M * (1 - WGS84_E2) / (w2 * w) * DEGREE;
        across = WGS84_A_M * cos(phi) / w * DEGREE;
    }
    along *= north_deg;
    across *= east_deg;
    return sqrt(along * along + across * across);
}

#endif

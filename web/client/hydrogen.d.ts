/** hydrogen-view-sdk brings no types for its entry; what the client uses of it is told apart by its own words. */
declare module "hydrogen-view-sdk";
